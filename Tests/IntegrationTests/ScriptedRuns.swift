import Engine
import Logging
import Postgres
import Runtime
import TestKit

/// A job that does what a test tells it, under the real runner, with its ledger in a database of its own.
struct ScriptedRuns {
    private struct ScriptedJob: Job {
        let name: JobName = "scripted"
        let knownOptions: Set<RunOptionName> = [.dryRun]
        let targets: [PGPool]
        let body: @Sendable (RunContext) async throws -> Int

        func run(_ context: RunContext) async throws -> RunSummary {
            let deadLetters = try await body(context)
            return RunSummary(counts: [:], details: .null, deadLetters: deadLetters, proof: .commandTags)
        }
    }

    let state: PGPool
    let ledger: Ledger

    init() async throws {
        state = try await Self.database()
        ledger = Ledger(state: state)
    }

    /// A fresh database with the engine's tables; through a proxy when its port is given.
    static func database(through proxy: ((Int) throws -> Int)? = nil) async throws -> PGPool {
        var url = try TestPostgres.shared().freshDatabase()
        let direct = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 6)
        _ = try await direct.withConnection { try await EngineMigrations.migrator().up($0) }
        guard let proxy else { return direct }
        await direct.close()
        guard let colon = url.lastIndex(of: ":"), let port = Int(url[url.index(after: colon)...].prefix { $0.isNumber })
        else { throw TestServiceMissing("the URL has no port") }
        url = url.replacing(":\(port)/", with: ":\(try proxy(port))/")
        return PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 6)
    }

    func runner(
        targets: [PGPool] = [],
        settings: RunSettings = RunSettings(),
        holder: String = "one",
        ended: @escaping JobRunner.Ended = { _ in },
        _ body: @escaping @Sendable (RunContext) async throws -> Int
    ) -> JobRunner {
        JobRunner(
            state: state,
            jobs: [ScriptedJob(targets: targets, body: body)],
            holder: holder,
            settings: settings,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            ended: ended
        )
    }

    /// A run whose process was told to stop while it was under way, and after `during`.
    func stopped(_ trigger: RunTrigger, during: (RunID) async throws -> Void = { _ in }) async throws -> RunID {
        let started = TestSignal()
        let first = runner { _ in
            started.fire()
            try await Task.sleep(for: .seconds(600))
            return 0
        }
        let id = RunID()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await first.run() }
            try await first.submit("scripted", RunOptions(), trigger: trigger, requestedBy: "test", id: id)
            await started.wait()
            try await during(id)
            group.cancelAll()
        }
        return id
    }

    /// Runs once to the end; the ledger's record. `during` is called while it runs.
    func once(
        _ runner: JobRunner,
        trigger: RunTrigger = .api,
        options: RunOptions = RunOptions(),
        during: (RunID) async throws -> Void = { _ in }
    ) async throws -> RunRecord {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await runner.run() }
            defer { group.cancelAll() }
            let id = try await runner.submit("scripted", options, trigger: trigger, requestedBy: "test")
            try await during(id)
            return try await runner.wait(id)
        }
    }
}
