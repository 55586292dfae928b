import Engine
import Foundation
import Postgres
import Runtime
import TestKit
import Testing

/// The ledger at a million runs: every question answered from an index in its own order, and swept in small steps.
@Suite(.serialized) struct HistoryTests {
    private static let runs = 1_000_000

    private static func database() async throws -> PGPool {
        let url = try TestPostgres.shared().freshDatabase()
        let pool = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 2)
        _ = try await pool.withConnection { try await EngineMigrations.migrator().up($0) }
        return pool
    }

    /// Two big jobs and one small; one run in a hundred fails, one in fifty is dry; the newest is the last number.
    private static func fill(_ pool: PGPool, _ count: Int) async throws {
        try await pool.withConnection { connection in
            // As a restored dump would: data first, then indexes.
            let indexes = try await connection.query(
                "SELECT indexdef FROM pg_indexes WHERE schemaname = 'etl' AND tablename = 'runs' "
                    + "AND indexname <> 'runs_pkey'"
            ).rows.map { try $0[0].string() }
            let names = try await connection.query(
                "SELECT string_agg('etl.' || indexname, ', ') FROM pg_indexes WHERE schemaname = 'etl' "
                    + "AND tablename = 'runs' AND indexname <> 'runs_pkey'"
            ).rows[0][0].string()
            try await connection.execute("ALTER TABLE etl.runs SET UNLOGGED; DROP INDEX \(names)")
            _ = try await connection.query(
                """
                INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, state, holder, queued_at, started_at,
                    finished_at, heartbeat_at, summary)
                SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
                    CASE WHEN n % 1000 = 0 THEN 'rare' WHEN n % 2 = 0 THEN 'health_check' ELSE 'product_sync' END,
                    'schedule', 'scheduler', n % 50 = 0,
                    CASE WHEN n % 100 = 1 THEN 'failed' ELSE 'succeeded' END, 'test',
                    at, at, at + interval '1 second', at + interval '1 second', '{"counts": {}}'
                FROM generate_series(1, $1::int) n, LATERAL (
                    SELECT clock_timestamp() - make_interval(secs => ($1::int - n) * 30) AS at) t
                """,
                [.int(Int64(count))]
            )
            for index in indexes { try await connection.execute(index) }
            try await connection.execute("ANALYZE etl.runs")
        }
    }

    private static func id(_ number: Int) -> RunID {
        RunID("00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - hex(number).count) + hex(number))
            ?? RunID()
    }

    private static func hex(_ number: Int) -> String { String(number, radix: 16) }

    @Test func everyQuestionIsAnsweredFromAnIndex() async throws {
        let pool = try await Self.database()
        try await Self.fill(pool, Self.runs)
        let middle = Self.id(Self.runs / 2)
        var questions: [(String, Ledger.Question)] = [
            ("the newest run", Ledger.newest("product_sync", dryRun: false)),
            ("the newest dry run, of which there is none", Ledger.newest("product_sync", dryRun: true)),
            ("the newest dry run", Ledger.newest("health_check", dryRun: true)),
            ("the last success", Ledger.newestSuccess("product_sync")),
            ("the last success of a job nobody knows", Ledger.newestSuccess("nobody")),
            ("news", Ledger.news(after: Date(timeIntervalSinceNow: -3_000))),
            ("runs of stopped processes", Ledger.stoppedLately),
        ]
        for job in [nil, "product_sync", "rare", "nobody"] as [JobName?] {
            for state in [nil, .succeeded, .failed, .running] as [RunState?] {
                for before in [nil, middle] {
                    let name =
                        "a page: \(job?.rawValue ?? "any job"), \(state?.rawValue ?? "any state")"
                        + (before == nil ? "" : ", from the middle")
                    questions.append((name, Ledger.page(job: job, state: state, limit: 200, before: before)))
                }
            }
        }
        var slowest = (name: "", milliseconds: 0.0)
        for (name, question) in questions {
            let plan = try await pool.withConnection { connection in
                try await connection.query("EXPLAIN (ANALYZE, FORMAT TEXT) " + question.sql, question.values)
                    .rows.map { try $0[0].string() }
            }
            let text = plan.joined(separator: "\n")
            #expect(text.contains(#/Index (Only )?Scan (Backward )?using runs_/#), "\(name):\n\(text)")
            // The handful under way, or ended just now, may be sorted; nothing else is.
            let isFew = text.contains("runs_active") || name == "runs of stopped processes"
            #expect(isFew || !text.contains("Sort Key"), "\(name):\n\(text)")
            #expect(!text.contains("Seq Scan"), "\(name):\n\(text)")
            // A page costs a page: nothing is read only to be thrown away.
            let thrown =
                plan.compactMap { $0.firstMatch(of: #/Rows Removed by Filter: (\d+)/#) }
                .compactMap { Int($0.output.1) }.max() ?? 0
            #expect(thrown <= 400, "\(name) throws \(thrown) rows away:\n\(text)")
            let time =
                plan.compactMap { $0.firstMatch(of: #/Execution Time: ([\d.]+) ms/#) }
                .compactMap { Double($0.output.1) }.first ?? 0
            if time > slowest.milliseconds { slowest = (name, time) }
        }
        print(
            "measured history at \(Self.runs) runs, slowest of \(questions.count) questions = "
                + "\(slowest.milliseconds) ms (\(slowest.name))"
        )
        #expect(try await Ledger(state: pool).runs(limit: 3).map(\.id) == (0..<3).map { Self.id(Self.runs - $0) })
        let behind = try await Ledger(state: pool).runs(state: .failed, limit: 2, before: middle)
        #expect(behind.map(\.id) == [Self.id(499_901), Self.id(499_801)])
        try await Self.sweepOfAMillion(pool)
        await pool.close()
    }

    /// One step of the sweep looks at what it removes, not at what there is.
    private static func sweepOfAMillion(_ pool: PGPool) async throws {
        let plan = try await pool.withConnection { connection in
            try await connection.query(
                "EXPLAIN (ANALYZE, FORMAT TEXT) " + Housekeeping.removeRunsSQL,
                [.int(300), .int(10_000), .int(500)]
            ).rows.map { try $0[0].string() }
        }
        let text = plan.joined(separator: "\n")
        #expect(!text.contains("Seq Scan on runs"), "\(text)")
        #expect(text.contains(#/Index Scan using runs_ended on runs[^\n]*\n\s+Index Cond/#), "\(text)")
        let time =
            plan.compactMap { $0.firstMatch(of: #/Execution Time: ([\d.]+) ms/#) }
            .compactMap { Double($0.output.1) }.first ?? 0
        print("measured housekeeping at \(runs) runs, one step of 500 = \(time) ms")
    }

    @Test func theSweepTakesSmallStepsAndNeverTheLastSuccess() async throws {
        let pool = try await Self.database()
        try await Self.fill(pool, 3_000)
        try await pool.withConnection { connection in
            try await connection.execute(
                """
                -- The only success of a job is older than everything; another job never succeeded; one runs for ever.
                INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, state, holder, queued_at, finished_at)
                SELECT gen_random_uuid(), job, 'cli', 'test', false, state, 'test', now() - interval '900 days',
                    CASE WHEN state <> 'running' THEN now() - interval '900 days' END
                FROM (VALUES ('old', 'succeeded'), ('hopeless', 'failed'), ('endless', 'running')) v (job, state);
                INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, state, holder, queued_at, finished_at)
                SELECT gen_random_uuid(), 'old', 'cli', 'test', false, 'failed', 'test', now() - interval '800 days',
                    now() - interval '800 days' FROM generate_series(1, 1200);
                -- A later success of a part of the work says nothing of the whole.
                INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, state, holder, queued_at, finished_at,
                    summary)
                SELECT gen_random_uuid(), 'partly', 'cli', 'test', false, 'succeeded', 'test',
                    now() - n * interval '400 days', now() - n * interval '400 days',
                    CASE WHEN n < 3 THEN '{"isWhole": false}'::jsonb END
                FROM generate_series(1, 4) n;
                CREATE TABLE steps (n bigint);
                CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    INSERT INTO steps SELECT count(*) FROM gone; RETURN NULL; END $$;
                CREATE TRIGGER note AFTER DELETE ON etl.runs REFERENCING OLD TABLE AS gone
                    FOR EACH STATEMENT EXECUTE FUNCTION note()
                """
            )
        }
        let removed = try await Housekeeping(state: pool, policy: RetentionPolicy(days: 365, runsPerJob: 500)).sweep()
        func text(_ sql: String) async throws -> String {
            try await pool.withConnection { try await $0.query(sql).rows[0][0].string() }
        }
        #expect(removed == 1_200 + 1 + 2 + (1_500 - 500) + (1_497 - 500), "by age, and by count of each job")
        let whole = try await Ledger(state: pool).lastSuccess(job: "partly")?.finishedAt
        #expect(whole.map { $0 < Date(timeIntervalSinceNow: -1_199 * 86_400) } == true, "the last whole one stays")
        #expect(try await text("SELECT max(n)::text FROM steps") == "500", "small steps")
        #expect(
            try await text(
                "SELECT string_agg(job || ' ' || state, ', ' ORDER BY job) FROM etl.runs WHERE job IN ('old', "
                    + "'hopeless', 'endless')"
            ) == "endless running, old succeeded"
        )
        let newest = try await text(
            "SELECT string_agg(n::text, ',' ORDER BY job) FROM (SELECT job, count(*) n FROM etl.runs "
                + "WHERE job LIKE '%\\_%' GROUP BY job) c"
        )
        #expect(newest == "500,500")
        #expect(try await Ledger(state: pool).runs(limit: 1).first?.id == Self.id(3_000), "the newest stay")
        // A second sweep has nothing left to do.
        #expect(try await Housekeeping(state: pool, policy: RetentionPolicy(days: 365, runsPerJob: 500)).sweep() == 0)
        await pool.close()
    }
    /// Each target has dead letters of its own; a target that is away keeps no other from being swept.
    @Test func theSweepReachesTheDeadLettersOfEveryTarget() async throws {
        let state = try await Self.database()
        let target = try await Self.database()
        let away = PGPool(
            PGSettings(url: Secret("postgresql://nobody@127.0.0.1:1/none"), applicationName: "tallyman-test"),
            maxConnections: 1
        )
        for pool in [state, target] {
            try await pool.withConnection { connection in
                try await connection.execute(
                    """
                    INSERT INTO etl.dead_letters (job, key, kind, reason, columns, run_id, resolved_at, resolution)
                    SELECT 'job', n::text, 'test', 'bad', '{}', gen_random_uuid(),
                        CASE WHEN n <= 1200 THEN now() - interval '400 days' WHEN n = 1201 THEN now() END,
                        CASE WHEN n <= 1201 THEN 'synced' END
                    FROM generate_series(1, 1202) n;
                    CREATE TABLE steps (n bigint);
                    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                        INSERT INTO steps SELECT count(*) FROM gone; RETURN NULL; END $$;
                    CREATE TRIGGER note AFTER DELETE ON etl.dead_letters REFERENCING OLD TABLE AS gone
                        FOR EACH STATEMENT EXECUTE FUNCTION note()
                    """
                )
            }
        }
        let policy = RetentionPolicy(days: 365, runsPerJob: 500)
        await #expect(throws: TallyError.self, "what could not be swept is told") {
            try await Housekeeping(state: state, targets: [away, target, state], policy: policy).sweep()
        }
        for pool in [state, target] {
            let left = try await pool.withConnection {
                try await $0.query("SELECT string_agg(key, ',' ORDER BY id) FROM etl.dead_letters").rows[0][0].string()
            }
            #expect(left == "1201,1202", "the young and the open stay")
            let largest = try await pool.withConnection {
                try await $0.query("SELECT max(n)::int FROM steps").rows[0][0].int()
            }
            #expect(largest == 500, "small steps")
            await pool.close()
        }
        await away.close()
    }
}
