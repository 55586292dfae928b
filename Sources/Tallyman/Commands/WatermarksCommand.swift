import API
import ArgumentParser
import Engine
import Foundation
import Runtime

/// Positions of incremental reads: to look at, and to move back for a replay.
struct WatermarksCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watermarks",
        abstract: "How far sources have been read; moving one back reads from there again.",
        subcommands: [List.self, Set.self, Delete.self],
        defaultSubcommand: List.self
    )

    /// The words that name one, as `list` prints them.
    struct Key: ParsableArguments {
        @Argument(help: "Role of the database that holds it, such as analytics.")
        var database: String
        @Argument(help: "The source.")
        var source: String
        @Argument(help: "The table.")
        var table: String
        @Argument(help: "The account; empty where there is none.")
        var account = ""
        @Option(name: .long, help: "The scope: shop, marketplace or window.")
        var scope = ""

        var key: WatermarkKey {
            WatermarkKey(source: source, table: table, accountID: account, scope: scope)
        }
    }

    struct List: TallyCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List all positions.")
        @OptionGroup var common: CommonOptions
        @Option(name: .long, help: "Only positions of this source.")
        var source: String?
        @Option(name: .long, help: "How many scopes of each table and account, 1 to 10000.")
        var scopes = 50

        func validate() throws {
            guard (1...10_000).contains(scopes) else { throw ValidationError("--scopes must be from 1 to 10000.") }
        }

        func execute(_ console: Console) async throws -> ExitStatus {
            let graph = try Graph(try settings())
            let found = try await graph.closing { graph in
                try await graph.migrations.require()
                return try await graph.ports().watermarks.list(source: source, scopes: scopes)
            }
            let bodies = found.marks.map(WatermarkAnswer.body)
            console.answer(["success": true, "watermarks": .array(bodies), "truncated": .bool(found.isCut)])
            for body in bodies {
                let names = [
                    "database", "source", "table", "accountId", "scope", "cursorTs", "cursorValue", "cursorId",
                ]
                let words = names.map { body[$0]?.string ?? "" }.map { $0.isEmpty ? "-" : $0 }
                console.line(words.joined(separator: "  ") + "  since \(body["updatedAt"]?.string ?? "?")")
            }
            if bodies.isEmpty { console.line("none") }
            if found.isCut { console.line("there are more: --source and --scopes show them") }
            return .done
        }
    }

    struct Set: TallyCommand {
        static let configuration = CommandConfiguration(
            commandName: "set",
            abstract: "Make the next run read from an instant or a value on."
        )
        @OptionGroup var common: CommonOptions
        @OptionGroup var key: Key
        @Option(name: .long, help: "An instant such as 2026-11-20T00:00:00Z.")
        var instant: String?
        @Option(name: .long, help: "A value, for sources that are not ordered by time.")
        var value: String?
        @Option(name: .long, help: "The id beside it.")
        var id: String?

        func validate() throws {
            guard instant != nil || value != nil else {
                throw ValidationError("--instant or --value must say where the next run begins.")
            }
            if let instant, Timestamp.parse(instant) == nil {
                throw ValidationError("--instant must be an instant such as 2026-11-20T00:00:00Z.")
            }
        }

        func execute(_ console: Console) async throws -> ExitStatus {
            let graph = try Graph(try settings())
            let watermark = Watermark(instant: instant.flatMap(Timestamp.parse), value: value, id: id)
            try await graph.closing { graph in
                try await graph.migrations.require()
                try await graph.ports().watermarks.set(key.key, to: watermark, in: key.database)
            }
            console.answer(["success": true, "message": "The next run reads from there"])
            console.line("the next run reads from there")
            return .done
        }
    }

    struct Delete: TallyCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete",
            abstract: "Forget a position: the next run reads everything."
        )
        @OptionGroup var common: CommonOptions
        @OptionGroup var key: Key

        func execute(_ console: Console) async throws -> ExitStatus {
            let graph = try Graph(try settings())
            let isGone = try await graph.closing { graph in
                try await graph.migrations.require()
                return try await graph.ports().watermarks.delete(key.key, in: key.database)
            }
            guard isGone else {
                throw TallyError(
                    .notFound,
                    during: "watermarks.delete",
                    "there is no such watermark",
                    remedy: "tallyman watermarks list names them."
                )
            }
            console.answer(["success": true, "message": "The next run reads everything"])
            console.line("the next run reads everything")
            return .done
        }
    }
}
