import ArgumentParser
import Foundation
import Runtime

struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Prepare our own schema, etl, in every configured database, and apply your own migrations.",
        subcommands: [Up.self, Down.self, Status.self, New.self],
        defaultSubcommand: Up.self
    )

    struct Up: TallyCommand {
        static let configuration = CommandConfiguration(commandName: "up", abstract: "Apply what is missing.")
        @OptionGroup var common: CommonOptions

        func execute(_ console: Console) async throws -> ExitStatus {
            let graph = try Graph(try settings())
            let result = try await graph.closing { try await $0.migrations.up() }
            console.answer([
                "success": true,
                "databases": .array(
                    result.map { one -> JSONValue in
                        ["database": .string(one.database), "applied": .array(one.applied.map { .string($0) })]
                    }
                ),
            ])
            for one in result {
                let what = one.applied.isEmpty ? "nothing to apply" : "applied " + one.applied.joined(separator: ", ")
                console.line("\(one.database): \(what)")
            }
            return .done
        }
    }

    struct Down: TallyCommand {
        static let configuration = CommandConfiguration(commandName: "down", abstract: "Take back the newest one.")
        @OptionGroup var common: CommonOptions

        @Option(name: .long, help: "Take back the newest of your own migrations of that database, such as analytics.")
        var database: String?

        func execute(_ console: Console) async throws -> ExitStatus {
            let graph = try Graph(try settings())
            let result = try await graph.closing { try await $0.migrations.down(role: database) }
            console.answer([
                "success": true,
                "databases": .array(
                    result.map { one -> JSONValue in
                        ["database": .string(one.database), "reverted": one.reverted.map { .string($0) } ?? .null]
                    }
                ),
            ])
            for one in result {
                console.line("\(one.database): \(one.reverted.map { "reverted \($0)" } ?? "nothing applied")")
            }
            return .done
        }
    }

    struct New: TallyCommand {
        static let configuration = CommandConfiguration(
            commandName: "new",
            abstract: "Make an empty migration of your own in MIGRATIONS_DIR, in dbmate's form."
        )
        @OptionGroup var common: CommonOptions

        @Argument(help: "What it does, such as add_widget_column.")
        var name: String

        @Option(name: .long, help: "Whose it is: the database's role, such as analytics.")
        var database: String

        func execute(_ console: Console) async throws -> ExitStatus {
            let graph = try Graph(try settings())
            let path = try await graph.closing { try $0.migrations.folder(database).create(name, at: Date()) }
            console.answer(["success": true, "file": .string(path)])
            console.line("made \(path)")
            return .done
        }
    }

    struct Status: TallyCommand {
        static let configuration = CommandConfiguration(commandName: "status", abstract: "List what is applied.")
        @OptionGroup var common: CommonOptions

        func execute(_ console: Console) async throws -> ExitStatus {
            let graph = try Graph(try settings())
            let result = try await graph.closing { try await $0.migrations.status() }
            let pending = result.flatMap(\.migrations).filter { !$0.isApplied }.count
            console.answer([
                "success": true, "pending": .int(pending),
                "databases": .array(
                    result.map { one -> JSONValue in
                        let list = one.migrations.map { migration -> JSONValue in
                            ["name": .string(migration.name), "applied": .bool(migration.isApplied)]
                        }
                        return ["database": .string(one.database), "migrations": .array(list)]
                    }
                ),
            ])
            for one in result {
                console.line(one.database)
                for migration in one.migrations {
                    console.line("  [\(migration.isApplied ? "X" : " ")] \(migration.name)")
                }
            }
            return .done
        }
    }
}

extension Graph {
    /// Runs `body` and closes every session after it, also when it throws.
    func closing<Result: Sendable>(_ body: (Graph) async throws -> Result) async throws -> Result {
        do {
            let result = try await body(self)
            await close()
            return result
        } catch {
            await close()
            throw error
        }
    }
}
