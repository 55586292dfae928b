import ArgumentParser
import Engine
import Logging
import ProductSync
import Runtime

/// Which shard of how many: `3/8`, counted from 0 as `JOB_COMPLETION_INDEX` counts.
struct ShardChoice: ExpressibleByArgument, Equatable {
    let index: Int
    let count: Int

    init?(argument: String) {
        let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let index = Int(parts[0]), let count = Int(parts[1]),
            ProductSyncSettings.shardsRange.contains(count), (0..<count).contains(index)
        else { return nil }
        self.index = index
        self.count = count
    }
}

/// `tallyman sync --shard`: joins the run under way or opens it, and carries out one shard.
enum ShardCommandRun {
    /// What trying again does not heal, for this shard or another: it ends like wrong settings.
    private static let lasting: Set<TallyError.Kind> = [
        .notFound, .schemaMismatch, .credentialsRejected, .permissionDenied,
    ]

    /// Carries out what `make` has made, and reports it.
    static func ended(_ console: Console, _ make: () throws -> CommandRuns) async throws -> ExitStatus {
        do {
            let record = try await make().only()
            let status = RunReport.ended(record, console)
            let kind = record.error.flatMap { TallyError.Kind(rawValue: $0.kind) }
            return kind.map { lasting.contains($0) } == true ? .usage : status
        } catch let error as TallyError where lasting.contains(error.kind) {
            _ = console.fail(error)
            return .usage
        }
    }

    static func make(
        _ shard: ShardChoice,
        run: RunID?,
        of graph: Graph,
        options: RunOptions,
        waitSeconds: Int,
        console: Console
    ) throws -> CommandRuns {
        guard let sync = graph.jobs.lazy.compactMap({ $0 as? ProductSyncJob }).first else {
            throw TallyError(.notFound, during: "command.run", "there is no product sync to cut into shards")
        }
        let shards = ProductSyncShards(
            job: sync,
            state: graph.state,
            holder: ProcessSetup.holder,
            logger: Logger(label: "shards")
        )
        let runner = graph.runner
        return CommandRuns(
            graph: graph,
            jobs: [sync.name.part(shard.index)],
            waitSeconds: waitSeconds,
            console: console
        ) { _ in
            let joined = try await shards.join(
                shard.index,
                of: shard.count,
                run: run,
                options: options,
                requestedBy: CommandRuns.user
            )
            switch joined {
            case .done(let told): return told
            case .work(let job):
                return try await runner.submit(job, options, trigger: .cli, requestedBy: CommandRuns.user)
            }
        }
    }
}
