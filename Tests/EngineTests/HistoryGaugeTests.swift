import Cron
import Engine
import Foundation
import Logging
import Postgres
import Runtime
import Telemetry
import TestKit
import Testing

/// Gauges that follow the ledger, whichever process made the history.
@Suite(.serialized) struct HistoryGaugeTests {
    private struct ToldJob: Job {
        var name: JobName = "told"
        let knownOptions: Set<RunOptionName> = []
        var targets: [PGPool] { [] }
        let told = Watched<[RunRecord]>([])

        func publish(_ newest: RunRecord?) { told.change { $0 += [newest].compactMap(\.self) } }

        func run(_ context: RunContext) async throws -> RunSummary {
            RunSummary(counts: [:], details: .null, deadLetters: 0, proof: .compareOnly)
        }
    }

    private static func insert(_ values: String, as job: String, in pool: PGPool) async throws {
        _ = try await pool.withConnection { connection in
            try await connection.execute(
                """
                INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, state, holder, queued_at, finished_at,
                    heartbeat_at, summary, error)
                SELECT gen_random_uuid(), '\(job)', 'schedule', 'test', dry, state, 'another', now() - age, now(),
                    now(), data::jsonb, fault::jsonb
                FROM (VALUES \(values)) v (state, age, dry, data, fault)
                """
            )
        }
    }

    /// Lets them look until `body` has ended.
    private static func looking(
        at jobs: [any Job],
        in pool: PGPool,
        schedules: [ScheduleDefinition] = [],
        lines: Watched<[String]> = Watched([]),
        _ body: () async throws -> Void
    ) async throws {
        MetricsRegistry.install()
        let gauges = HistoryGauges(
            ledger: Ledger(state: pool),
            jobs: jobs,
            letters: DeadLetterStore([("state", pool)]),
            schedules: { schedules },
            logger: Logger(label: "test") { _ in LineKeeper(lines: lines) }
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { do { try await gauges.run() } catch is CancellationError {} }
            try await body()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private static func value(_ name: String, of job: String, state: String? = nil) -> Double? {
        var labels = ["source": job]
        if let state { labels["state"] = state }
        return MetricsRegistry.shared.value(name, labels: labels)
    }

    private static var readAt: Double? { MetricsRegistry.shared.value("etl_history_read_timestamp_seconds") }

    /// A replica that never ran the job tells of the newest run that has an outcome, not of a failure or a skip.
    @Test func anotherProcessesRunIsTold() async throws {
        let pool = try await SchedulerBench.database()
        try await Self.insert(
            """
            ('succeeded', interval '4 minutes', false, '{"counts": {"missingProducts": 5}}', NULL),
            ('partial', interval '3 minutes', false, '{"counts": {"missingProducts": 0}}', NULL),
            ('failed', interval '2 minutes', false, NULL, NULL), ('skipped', interval '1 minute', false, NULL, NULL)
            """,
            as: "told",
            in: pool
        )
        let job = ToldJob()
        try await Self.looking(at: [job], in: pool) { try await job.told.wait { !$0.isEmpty } }
        #expect(job.told.value.first?.state == .partial)
        #expect(job.told.value.first?.summary?["counts"]?["missingProducts"] == 0)
        await pool.close()
    }

    /// An operator's dry run says nothing of whether the job's own runs fail.
    @Test func aDryRunHidesNoFailure() async throws {
        let pool = try await SchedulerBench.database()
        try await Self.insert(
            """
            ('failed', interval '2 minutes', false, NULL, NULL), ('succeeded', interval '1 minute', true, NULL, NULL)
            """,
            as: "hidden",
            in: pool
        )
        let job = ToldJob(name: "hidden")
        try await Self.looking(at: [job], in: pool) { try await job.told.wait { !$0.isEmpty } }
        #expect(Self.value("etl_run_state", of: "hidden", state: "failed") == 1)
        #expect(Self.value("etl_run_state", of: "hidden", state: "succeeded") == 0)
        await pool.close()
    }

    /// One job's row that cannot be read freezes its own gauges, says so, and holds up nobody else's.
    @Test func whatCannotBeReadIsSaidAndHoldsUpNothing() async throws {
        let pool = try await SchedulerBench.database()
        try await Self.insert("('failed', interval '1 minute', false, NULL, '{}')", as: "unreadable", in: pool)
        try await Self.insert("('succeeded', interval '1 minute', false, NULL, NULL)", as: "told", in: pool)
        let lines = Watched<[String]>([])
        let job = ToldJob()
        try await Self.looking(at: [ToldJob(name: "unreadable"), job], in: pool, lines: lines) {
            try await lines.wait { !$0.isEmpty }
        }
        #expect(lines.value.first?.contains("gauges of the past could not be read") == true)
        #expect(job.told.value.count == 1)
        #expect(Self.readAt == 0, "a rule tells of it")
        try await pool.withConnection { try await $0.execute("DELETE FROM etl.runs WHERE job = 'unreadable'") }
        try await Self.looking(at: [ToldJob(name: "unreadable"), job], in: pool) {
            try await Eventually.holds("all was read") { Self.readAt ?? 0 > 0 }
        }
        await pool.close()
    }

    @Test func openLettersOfEveryJobAreTold() async throws {
        let pool = try await SchedulerBench.database()
        _ = try await pool.withConnection { connection in
            try await connection.execute(
                """
                INSERT INTO etl.dead_letters (run_id, job, key, reason, kind)
                VALUES (gen_random_uuid(), 'lettered', 'k', 'bad', 'record-malformed')
                """
            )
        }
        try await Self.looking(at: [ToldJob(name: "lettered"), ToldJob(name: "clean")], in: pool) {
            try await Eventually.holds("letters were counted") {
                Self.value("etl_dead_letters_open", of: "clean") == 0
            }
        }
        #expect(Self.value("etl_dead_letters_open", of: "lettered") == 1)
        await pool.close()
    }

    /// A run that was cut and failed is told of until the job runs again, in one piece as well.
    @Test func shardsAreThoseOfTheNewestRun() async throws {
        let pool = try await SchedulerBench.database()
        try await Self.insert("('failed', interval '1 minute', false, NULL, NULL)", as: "cut", in: pool)
        _ = try await pool.withConnection { connection in
            try await connection.execute(
                """
                UPDATE etl.runs SET cut = '{}' WHERE job = 'cut';
                INSERT INTO etl.shards (run_id, shard, state)
                SELECT id, shard, CASE shard WHEN 0 THEN 'done' ELSE 'running' END
                FROM etl.runs, generate_series(0, 2) shard WHERE job = 'cut'
                """
            )
        }
        func shards(_ state: String) -> Double? { Self.value("etl_shards", of: "cut", state: state) }
        try await Self.looking(at: [ToldJob(name: "cut")], in: pool) {
            try await Eventually.holds("shards are told") { shards("failed") == 2 && shards("done") == 1 }
        }
        #expect(shards("lost") == 0)
        try await Self.insert("('succeeded', interval '0', false, NULL, NULL)", as: "cut", in: pool)
        try await Self.looking(at: [ToldJob(name: "cut")], in: pool) {
            try await Eventually.holds("they are history") { shards("failed") == 0 && shards("done") == 0 }
        }
        await pool.close()
    }

    /// Needs no database: how often a job is expected is known also while the ledger is away.
    @Test func theScheduleTellsHowOftenAJobIsExpected() async throws {
        let pool = try await SchedulerBench.database()
        await pool.close()
        let hourly = ScheduleDefinition(job: "hourly", expression: try CronExpression("5 * * * *"), timeZone: .gmt)
        try await Self.looking(at: [], in: pool, schedules: [hourly]) {
            try await Eventually.holds("the interval is known") {
                Self.value("etl_schedule_interval_seconds", of: "hourly") == 3_600
            }
        }
    }
}
