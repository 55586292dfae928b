import Engine
import Postgres
import Runtime
import TestKit
import Testing

/// Gauges that follow the ledger, whichever process made the history.
@Suite struct HistoryGaugeTests {
    private struct ToldJob: Job {
        let name: JobName = "told"
        let knownOptions: Set<RunOptionName> = []
        var targets: [PGPool] { [] }
        let told = Watched<[RunRecord]>([])

        func publish(_ newest: RunRecord) { told.change { $0.append(newest) } }

        func run(_ context: RunContext) async throws -> RunSummary {
            RunSummary(counts: [:], details: .null, deadLetters: 0, proof: .compareOnly)
        }
    }

    /// A replica that never ran the job tells of the newest run that has an outcome, not of a failure or a skip.
    @Test func anotherProcessesRunIsTold() async throws {
        let pool = try await SchedulerBench.database()
        _ = try await pool.withConnection { connection in
            try await connection.execute(
                """
                INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, state, holder, queued_at, finished_at,
                    heartbeat_at, summary)
                SELECT gen_random_uuid(), 'told', 'schedule', 'test', false, state, 'another', now() - age, now(),
                    now(), data::jsonb
                FROM (VALUES ('succeeded', interval '4 minutes', '{"counts": {"missingProducts": 5}}'),
                    ('partial', interval '3 minutes', '{"counts": {"missingProducts": 0}}'),
                    ('failed', interval '2 minutes', NULL), ('skipped', interval '1 minute', NULL))
                    v (state, age, data)
                """
            )
        }
        let job = ToldJob()
        let gauges = HistoryGauges(ledger: Ledger(state: pool), jobs: [job])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { do { try await gauges.run() } catch is CancellationError {} }
            try await job.told.wait { !$0.isEmpty }
            group.cancelAll()
            try await group.waitForAll()
        }
        #expect(job.told.value.first?.state == .partial)
        #expect(job.told.value.first?.summary?["counts"]?["missingProducts"] == 0)
        await pool.close()
    }
}
