import API
import ArgumentParser
import Cron
import Engine
import Foundation
import Runtime

struct StatusCommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the last sync, the last validation and the schedule."
    )

    @OptionGroup var common: CommonOptions

    func execute(_ console: Console) async throws -> ExitStatus {
        let graph = try Graph(try settings())
        let body = try await graph.closing { graph in
            try await graph.migrations.require()
            return try await StatusAnswer.body(graph.ports())
        }
        console.answer(body)
        console.line("sync        \(body["sync"]?["state"]?.string ?? "?")")
        for shard in body["sync"]?["shards"]?.array ?? [] { console.line("            " + ShardLine.text(shard)) }
        console.line("last run    \(Self.describe(body["lastRun"]))")
        console.line("last good   \(body["lastSuccessAt"]?.string ?? "never")")
        let validation = body["validation"]
        let verdict = validation?["isValid"]?.bool.map { $0 ? "valid" : "not valid" } ?? "never"
        console.line("validation  \(verdict) \(validation?["timestamp"]?.string ?? "")")
        console.line("scheduler   \(Self.scheduler(body))")
        return .done
    }

    /// What the answer of `GET /api/etl/status` says of the schedule, in words.
    static func scheduler(_ body: JSONValue) -> String {
        guard body["scheduler"]?["enabled"]?.bool == true else { return "off" }
        guard body["scheduler"]?["isRunning"]?.bool == true else {
            return "on, but nobody leads it: nothing runs by itself"
        }
        return "on, \(body["nextRun"]?.string.map { "next \($0)" } ?? "but the sync is paused or has no schedule")"
    }

    private static func describe(_ run: JSONValue?) -> String {
        guard let state = run?["state"]?.string else { return "none" }
        let instant = run?["finishedAt"]?.string ?? run?["startedAt"]?.string ?? "?"
        return "\(state) at \(instant) (\(run?["runId"]?.string ?? "?"))"
    }
}

struct RunsCommand: TallyCommand {
    static let configuration = CommandConfiguration(commandName: "runs", abstract: "List runs, newest first.")

    @OptionGroup var common: CommonOptions
    @Option(name: .long, help: "Only runs of this job.")
    var job: String?
    @Option(name: .long, help: "Only runs in this state.")
    var state: String?
    @Option(name: .long, help: "How many, 1 to 200.")
    var limit = 20
    @Argument(help: "Show only the run with this id.")
    var id: String?

    func validate() throws {
        guard (1...200).contains(limit) else { throw ValidationError("--limit must be from 1 to 200.") }
        if let state, RunState(rawValue: state) == nil {
            let states = RunState.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--state must be one of \(states).")
        }
        if let id, RunID(id) == nil { throw ValidationError("A run id is a UUID.") }
    }

    func execute(_ console: Console) async throws -> ExitStatus {
        let graph = try Graph(try settings())
        let (records, shards) = try await graph.closing { graph -> ([RunRecord], [ShardRecord]) in
            try await graph.migrations.require()
            if let id = id.flatMap({ RunID($0) }) {
                guard let record = try await graph.ledger.run(id) else {
                    throw TallyError(.notFound, during: "command.runs", "there is no run with this id")
                }
                return ([record], try await ShardStore(state: graph.state).shards(of: id))
            }
            let records = try await graph.ledger.runs(
                job: job.map { JobName(rawValue: $0) },
                state: state.flatMap { RunState(rawValue: $0) },
                limit: limit,
                before: nil
            )
            return (records, [])
        }
        // Shards are shown with the one run that was asked for.
        console.answer(["success": true, "runs": .array(records.map { RunAnswer.run($0, shards: shards) })])
        for record in records {
            let took = record.startedAt.flatMap { start in
                record.finishedAt.map { "\(Timestamp.milliseconds(from: start, to: $0)) ms" }
            }
            console.line(
                [
                    record.id.description, Timestamp.text(record.queuedAt), record.job.rawValue,
                    record.state.rawValue + (record.dryRun ? " (dry run)" : ""), record.trigger.rawValue, took ?? "",
                    record.error?.summary ?? "",
                ].joined(separator: "  ")
            )
        }
        for shard in shards { console.line("  " + ShardLine.text(RunAnswer.shard(shard))) }
        return .done
    }
}

struct JobsCommand: TallyCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs",
        abstract: "List jobs and the options they know."
    )

    @OptionGroup var common: CommonOptions

    func execute(_ console: Console) async throws -> ExitStatus {
        let graph = try Graph(try settings())
        let schedules = Dictionary(
            graph.scheduler.schedules.map { ($0.job.rawValue, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        let jobs = graph.jobs.map { ($0.name.rawValue, $0.knownOptions.map(\.rawValue).sorted()) }
        await graph.close()
        console.answer([
            "success": true,
            "jobs": .array(
                jobs.map { name, options -> JSONValue in
                    [
                        "job": .string(name), "options": .array(options.map { .string($0) }),
                        "schedule": schedules[name].map { .string($0.expression.text) } ?? .null,
                        "timeZone": schedules[name].map { .string($0.timeZone.name) } ?? .null,
                    ]
                }
            ),
        ])
        for (name, options) in jobs {
            let schedule = schedules[name]?.expression.text ?? "on demand"
            console.line("\(name)  [\(schedule)]  options: \(options.joined(separator: ", "))")
        }
        return .done
    }
}

struct DeadLettersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead-letters",
        abstract: "Records that could not be written.",
        subcommands: [List.self, Retry.self, Discard.self],
        defaultSubcommand: List.self
    )

    struct List: TallyCommand {
        static let configuration = CommandConfiguration(commandName: "list", abstract: "List open dead letters.")
        @OptionGroup var common: CommonOptions
        @Option(name: .long, help: "Only those of this job.")
        var job: String?
        @Option(name: .long, help: "How many, 1 to 200.")
        var limit = 50

        func validate() throws {
            guard (1...200).contains(limit) else { throw ValidationError("--limit must be from 1 to 200.") }
        }

        func execute(_ console: Console) async throws -> ExitStatus {
            let graph = try Graph(try settings())
            let letters = try await graph.closing { graph in
                try await graph.migrations.require()
                return try await graph.ports().deadLetters.list(
                    job: job.map { JobName(rawValue: $0) },
                    limit: limit,
                    before: nil
                )
            }
            console.answer(["success": true, "deadLetters": .array(letters)])
            for letter in letters {
                var parts = ["id", "job", "key", "kind", "reason"].map { name in
                    letter[name]?.string ?? letter[name]?.int.map(String.init) ?? "-"
                }
                let columns = (letter["columns"]?.array ?? []).compactMap(\.string)
                if !columns.isEmpty { parts.append("columns " + columns.joined(separator: ", ")) }
                console.line(parts.joined(separator: "  "))
            }
            if letters.isEmpty { console.line("none") }
            return .done
        }
    }

    struct Retry: TallyCommand {
        static let configuration = CommandConfiguration(
            commandName: "retry",
            abstract: "Let the next run try records again."
        )
        @OptionGroup var common: CommonOptions
        @Argument(help: "The dead letter's id; without one, all of --job, or all.")
        var id: String?
        @Option(name: .long, help: "Only those of this job.")
        var job: String?

        func execute(_ console: Console) async throws -> ExitStatus {
            let graph = try Graph(try settings())
            let count = try await graph.closing { graph in
                try await graph.migrations.require()
                return try await graph.ports().deadLetters.retry(
                    id: id,
                    job: job.map { JobName(rawValue: $0) },
                    by: ProcessInfo.processInfo.userName
                )
            }
            guard count > 0 || id == nil else {
                throw TallyError(.notFound, during: "command.dead-letters", "there is no open dead letter with this id")
            }
            console.answer(["success": true, "retried": .int(count)])
            console.line("\(count) will be tried again by the next run")
            return .done
        }
    }

    struct Discard: TallyCommand {
        static let configuration = CommandConfiguration(
            commandName: "discard",
            abstract: "Forget a dead letter."
        )
        @OptionGroup var common: CommonOptions
        @Argument(help: "The dead letter's id.")
        var id: String

        func execute(_ console: Console) async throws -> ExitStatus {
            let graph = try Graph(try settings())
            let done = try await graph.closing { graph in
                try await graph.migrations.require()
                return try await graph.ports().deadLetters.discard(id: id, by: ProcessInfo.processInfo.userName)
            }
            guard done else {
                throw TallyError(.notFound, during: "command.dead-letters", "there is no open dead letter with this id")
            }
            console.answer(["success": true, "discarded": 1])
            console.line("discarded")
            return .done
        }
    }
}
