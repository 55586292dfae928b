import Engine
import Logging
import Postgres
import Runtime
import TestKit
import Testing

/// The engine under a job that does what the test tells it.
@Suite struct JobRunnerTests {
    private struct ScriptedJob: Job {
        let name: JobName = "scripted"
        let knownOptions: Set<RunOptionName> = [.dryRun]
        let targets: [PGPool]
        let body: @Sendable (RunContext) async throws -> Void

        func run(_ context: RunContext) async throws -> RunSummary {
            try await body(context)
            return RunSummary(counts: [:], details: .null, deadLetters: 0, proof: .commandTags)
        }
    }

    private static func database() async throws -> PGPool {
        let url = try TestPostgres.shared().freshDatabase()
        let pool = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 8)
        _ = try await pool.withConnection { try await EngineMigrations.migrator().up($0) }
        return pool
    }

    private static func runner(
        _ pool: PGPool,
        _ holder: String,
        _ body: @escaping @Sendable (RunContext) async throws -> Void
    ) -> JobRunner {
        JobRunner(
            state: pool,
            jobs: [ScriptedJob(targets: [pool], body: body)],
            holder: holder,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        )
    }

    /// Serves both runners for the length of `body`.
    private static func serving(_ runners: [JobRunner], _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for runner in runners { group.addTask { try await runner.run() } }
            defer { group.cancelAll() }
            try await body()
        }
    }

    @Test func oneRunPerJobAcrossReplicas() async throws {
        let pool = try await Self.database()
        let started = TestSignal()
        let release = TestSignal()
        let first = Self.runner(pool, "one") { _ in
            started.fire()
            await release.wait()
        }
        let second = Self.runner(pool, "two") { _ in }
        try await Self.serving([first, second]) {
            let id = try await first.submit("scripted", RunOptions(), trigger: .api, requestedBy: "test")
            await started.wait()
            let busy = await #expect(throws: RunBusy.self) {
                try await second.submit("scripted", RunOptions(), trigger: .api, requestedBy: "test")
            }
            #expect(busy?.running == id, "INV-4: the second is told who runs")
            release.fire()
            #expect(try await first.wait(id).state == .succeeded)
            let next = try await second.submit("scripted", RunOptions(), trigger: .api, requestedBy: "test")
            #expect(try await second.wait(next).state == .succeeded)
            #expect(try await second.wait(next).fence == 2, "fences rise")
        }
        await pool.close()
    }

    @Test func aRunIsCancelledFromAnotherReplica() async throws {
        let pool = try await Self.database()
        let started = TestSignal()
        let first = Self.runner(pool, "one") { _ in
            started.fire()
            try await Task.sleep(for: .seconds(600))
        }
        let second = Self.runner(pool, "two") { _ in }
        try await Self.serving([first]) {
            let id = try await first.submit("scripted", RunOptions(), trigger: .api, requestedBy: "test")
            await started.wait()
            #expect(try await second.cancel(id, by: "test"))
            #expect(try await first.wait(id).state == .cancelled)
        }
        await pool.close()
    }

    @Test(arguments: [false, true])
    func aWriterWithAnOldFenceCannotCommit(sharing: Bool) async throws {
        let pool = try await Self.database()
        try await pool.withConnection { try await $0.execute("CREATE TABLE t (n int)") }
        let runner = Self.runner(pool, "one") { context in
            try await pool.withConnection { connection in
                _ = try await connection.query("UPDATE etl.fences SET fence = fence + 1")
                try await context.write(on: connection, durable: true, sharing: sharing) { connection in
                    try await connection.execute("INSERT INTO t VALUES (1)")
                }
            }
        }
        try await Self.serving([runner]) {
            let id = try await runner.submit("scripted", RunOptions(), trigger: .api, requestedBy: "test")
            let record = try await runner.wait(id)
            #expect(record.state == .failed)
            #expect(record.error?.kind == TallyError.Kind.leaseLost.rawValue)
        }
        let rows = try await pool.withConnection { try await $0.query("SELECT 1 FROM t").rows.count }
        #expect(rows == 0)
        await pool.close()
    }

    /// One inside the other, which would wait for itself if the row were not shared; who raises the fence still waits.
    @Test func writesThatShareTheFenceAreUnderWayAtOnce() async throws {
        let pool = try await Self.database()
        let raised = Watched<String?>(nil)
        let runner = Self.runner(pool, "one") { context in
            try await pool.withConnection { one in
                try await context.write(on: one, durable: false, sharing: true) { _ in
                    try await pool.withConnection { other in
                        try await context.write(on: other, durable: false, sharing: true) { other in
                            try await other.execute("SELECT 1")
                        }
                        do {
                            try await other.execute("SELECT 1 FROM etl.fences FOR NO KEY UPDATE NOWAIT")
                        } catch let error as TallyError {
                            raised.change { $0 = error.serverError?.sqlState }
                        }
                    }
                }
            }
        }
        try await Self.serving([runner]) {
            let id = try await runner.submit("scripted", RunOptions(), trigger: .api, requestedBy: "test")
            #expect(try await runner.wait(id).state == .succeeded)
        }
        #expect(raised.value == "55P03", "the row was free while a write that shares it was under way")
        await pool.close()
    }

    @Test func aDryRunRaisesNoFenceAndMayNotWrite() async throws {
        let pool = try await Self.database()
        let runner = Self.runner(pool, "one") { context in
            try await pool.withConnection { connection in
                try await context.write(on: connection, durable: true) { _ in }
            }
        }
        try await Self.serving([runner]) {
            let id = try await runner.submit("scripted", RunOptions(dryRun: true), trigger: .api, requestedBy: "test")
            #expect(try await runner.wait(id).error?.kind == TallyError.Kind.permissionDenied.rawValue)
        }
        let fences = try await pool.withConnection { try await $0.query("SELECT 1 FROM etl.fences").rows.count }
        #expect(fences == 0)
        await pool.close()
    }
}
