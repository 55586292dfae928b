import Engine
import Foundation
import Postgres
import Runtime
import Synchronization
import Telemetry
import TestKit
import Testing

@testable import TableExport

/// Deletes, drift, verification and the service replaced.
@Suite(.serialized) struct SyncTests {
    static let source = """
        CREATE TABLE t (id int PRIMARY KEY, name text, at timestamptz NOT NULL); CREATE INDEX ON t (at, id);
        INSERT INTO t SELECT i, 'n' || i, '2026-01-01'::timestamptz + i * interval '1 s' FROM generate_series(1, 1000) i
        """
    static let target = "CREATE TABLE analytics_raw.t (id int PRIMARY KEY, name text, at timestamptz, gone timestamptz)"
    static let yaml = """
        exports:
          - key: T
            source: {table: t, cursor: {field: at, idField: id}}
            destination: {table: t, conflictColumns: [id]}
        """

    static func options(_ change: (inout RunOptions) -> Void) -> RunOptions {
        var options = RunOptions()
        change(&options)
        return options
    }

    static let full = options { $0.full = true }
    static let verify = options { $0.verify = true }

    // MARK: deletes

    @Test func deletedRowsAreMarkedAndComeBack() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let job = try rig.job(Self.yaml + "\n    deletes: mark:gone\n    deletesEvery: 0s")
        try await rig.run(job)
        try rig.inSource("DELETE FROM t WHERE id IN (3, 5, 7)")
        #expect(try await rig.run(job).counts["marked"] == 3)
        #expect(try rig.inTarget("SELECT id FROM analytics_raw.t WHERE gone IS NOT NULL ORDER BY id") == "3\n5\n7\n")
        #expect(try await rig.run(job).counts["marked"] == 0, "marked once")
        try rig.inSource("INSERT INTO t VALUES (5, 'back', now())")
        try await rig.run(job)
        #expect(try rig.inTarget("SELECT id FROM analytics_raw.t WHERE gone IS NOT NULL ORDER BY id") == "3\n7\n")
        let verified = try await rig.run(job, Self.verify)
        #expect(verified.counts["extra"] == 0, "marked rows are not extra")
        await rig.close()
    }

    @Test func deletedRowsAreRemovedOnlyWhenTheCompareIsDue() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let job = try rig.job(Self.yaml + "\n    deletes: delete\n    deletesEvery: 1h")
        #expect(try await rig.run(job).counts["deleted"] == 0)
        try rig.inSource("DELETE FROM t WHERE id <= 20")
        #expect(try await rig.run(job).counts["deleted"] == nil, "the last compare is younger than an hour")
        try rig.inTarget("UPDATE etl.table_exports SET compared_at = compared_at - interval '61 min'")
        #expect(try await rig.run(job).counts["deleted"] == 20)
        #expect(try rig.inTarget("SELECT count(*) FROM analytics_raw.t") == "980\n")
        await rig.close()
    }

    @Test(arguments: ["DELETE FROM t WHERE id <= 51", "TRUNCATE t"])
    func aShortSourceEmptiesNothing(sql: String) async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let job = try rig.job(Self.yaml + "\n    deletes: delete\n    deletesEvery: 0s")
        try await rig.run(job)
        try rig.inSource(sql)
        let error = await #expect(throws: TallyError.self) { try await rig.run(job) }
        #expect(error?.kind == .changeImplausible, "INV-6")
        #expect(try rig.inTarget("SELECT count(*) FROM analytics_raw.t") == "1000\n")
        await rig.close()
    }

    // MARK: verification

    @Test func verificationFindsWhatDiffersAndSplitsOnlyThere() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        try rig.inSource(
            """
            INSERT INTO t SELECT i, 'n' || i, '2026-02-01'::timestamptz + i * interval '1 s'
            FROM generate_series(1001, 50000) i
            """
        )
        MetricsRegistry.install()
        let job = try rig.job(Self.yaml.replacing("key: T", with: "key: Compared"))
        func gauge(_ kind: String) -> Double? {
            MetricsRegistry.shared.value("etl_drift_rows", labels: ["source": job.name.rawValue, "kind": kind])
        }
        let clean = try await rig.run(job, Self.verify)
        #expect(clean.proof == .fullCompare)
        #expect(gauge("missing") == 0)
        let ranges = clean.details["verify"]?["ranges"]?.int ?? 0
        #expect((2...4).contains(ranges), "50,000 rows are \(ranges) ranges when nothing differs")

        try rig.inTarget(
            "DELETE FROM analytics_raw.t WHERE id = 777; UPDATE analytics_raw.t SET name = 'x' WHERE id = 33333; "
                + "INSERT INTO analytics_raw.t VALUES (60000, 'only here', now())"
        )
        let error = await #expect(throws: TallyError.self) { try await rig.run(job, Self.verify) }
        #expect(error?.kind == .proofFailed, "INV-11: a run that left differences is no success")
        #expect(gauge("missing") == 1 && gauge("stale") == 1 && gauge("extra") == 1, "and the metrics tell of them")
        ExportMetric.verified(ExportDrift(missing: 0, stale: 0, extra: 0), job: job.name)
        try await job.publish(nil)
        #expect(gauge("missing") == 1 && gauge("stale") == 1 && gauge("extra") == 1, "also those of another replica")
        var dry = Self.verify
        dry.dryRun = true
        let found = try await rig.run(job, dry)
        #expect(found.counts["missing"] == 1)
        #expect(found.counts["stale"] == 1)
        #expect(found.counts["extra"] == 1)
        let keys = (found.details["verify"]?["keys"]?.array ?? []).compactMap(\.string)
        #expect(Set(keys) == ["777 missing", "33333 stale", "60000 extra"])
        #expect((found.details["verify"]?["ranges"]?.int ?? 0) < 120)
        // A dry run that found nothing before tells nothing of now, and one since tells the newest.
        for (counts, at, expected) in [(0, -60.0, 1.0), (7, 60, 7)] {
            try await job.publish(Self.dryRun(of: job.name, missing: counts, at: Date(timeIntervalSinceNow: at)))
            #expect(gauge("missing") == expected)
        }
        _ = try await rig.run(job, Self.full)
        try await job.publish(nil)
        #expect(gauge("missing") == 0 && gauge("stale") == 0 && gauge("extra") == 1, "--full has mended it")
        try rig.inTarget("DELETE FROM analytics_raw.t WHERE id IN (3, 4)")
        var repair = Self.verify
        repair.full = true
        let repaired = try await rig.run(job, repair)
        #expect(repaired.counts["written"] == 2)
        #expect(repaired.counts["missing"] == 0)
        #expect(gauge("missing") == 0 && gauge("stale") == 0)
        ExportMetric.verified(ExportDrift(missing: 9, stale: 9, extra: 9), job: job.name)
        try await job.publish(nil)
        #expect(gauge("missing") == 0 && gauge("stale") == 0 && gauge("extra") == 1)
        await rig.close()
    }

    private static func dryRun(of job: JobName, missing: Int, at instant: Date) -> RunRecord {
        RunRecord(
            id: RunID(),
            job: job,
            trigger: .cli,
            requestedBy: "test",
            dryRun: true,
            state: .succeeded,
            queuedAt: instant,
            finishedAt: instant,
            summary: ["counts": ["missing": .int(missing), "stale": 0, "extra": 0]]
        )
    }

    // MARK: drift

    @Test func aNewColumnIsReportedOrAdded() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        try await rig.run(try rig.job(Self.yaml))
        try rig.inSource("ALTER TABLE t ADD COLUMN colour varchar(9); INSERT INTO t VALUES (2000, 'c', now(), 'red')")
        let reported = try await rig.run(try rig.job(Self.yaml))
        #expect(reported.counts["written"] == 1)
        #expect(Self.notices(reported).contains("\"colour\" is new in the source and not on the target"))
        let added = try await rig.run(try rig.job(Self.yaml + "\n    drift: add"), Self.full)
        #expect(Self.notices(added).contains("is added on the target"))
        #expect(try rig.inTarget("SELECT id, colour FROM analytics_raw.t WHERE colour IS NOT NULL") == "2000|red\n")
        await rig.close()
    }

    @Test func driftAddMakesTheColumn() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let job = try rig.job(Self.yaml + "\n    drift: add")
        try await rig.run(job)
        try rig.inSource("ALTER TABLE t ADD COLUMN colour varchar(9); INSERT INTO t VALUES (2000, 'c', now(), 'red')")
        try await rig.run(job)
        #expect(try rig.inTarget("SELECT id, colour FROM analytics_raw.t WHERE colour IS NOT NULL") == "2000|red\n")
        let type = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attname = 'colour'"
        #expect(try rig.inTarget(type) == "character varying(9)\n")
        await rig.close()
    }

    @Test(arguments: [
        ("ALTER TABLE t DROP COLUMN name", "\"name\", which was exported before, is gone"),
        ("ALTER TABLE t ALTER COLUMN name TYPE varchar(40)", "\"name\" was of type text and is character varying(40)"),
    ])
    func aLostOrRetypedColumnHaltsBeforeAnythingIsWritten(sql: String, message: String) async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let job = try rig.job(Self.yaml)
        try await rig.run(job)
        try rig.inSource("\(sql); INSERT INTO t (id, at) VALUES (2000, now())")
        let error = await #expect(throws: TallyError.self) { try await rig.run(job) }
        #expect(error?.kind == .schemaMismatch)
        #expect(error?.summary.contains(message) == true, "\(error?.summary ?? "")")
        #expect(try rig.inTarget("SELECT count(*) FROM analytics_raw.t") == "1000\n")
        try await rig.run(job, Self.full)
        #expect(try rig.inTarget("SELECT count(*) FROM analytics_raw.t") == "1001\n", "--full accepts it")
        #expect(try await rig.run(job).counts["written"] == 0)
        await rig.close()
    }

    private static func notices(_ summary: RunSummary) -> String {
        (summary.details["notices"]?.array ?? []).compactMap(\.string).joined(separator: "; ")
    }

    // MARK: the service replaced, and options

    @Test func theStateOfTheServiceReplacedIsTakenOverOnce() async throws {
        let rig = try await ExportRig(
            source: Self.source,
            target: Self.target + """
                ; CREATE TABLE analytics_raw.pg_export_state (key text PRIMARY KEY, cursor_value timestamp(3),
                    cursor_id text, synced_at timestamp);
                INSERT INTO analytics_raw.pg_export_state VALUES ('T', '2026-01-01 00:15:00', '900', now())
                """
        )
        try rig.inTarget(
            "INSERT INTO analytics_raw.t SELECT i, 'n' || i, '2026-01-01'::timestamptz + i * interval '1 s' "
                + "FROM generate_series(1, 900) i"
        )
        let first = try await rig.run(try rig.job(Self.yaml, lookback: .seconds(0)))
        #expect(Self.notices(first).contains("taken over from analytics_raw.pg_export_state"))
        let read = ExportRig.fresh(first)
        #expect((101...110).contains(read), "one second is stepped back, not all read: \(read)")
        #expect(first.counts["written"] == 100)
        #expect(try rig.inTarget("SELECT cursor_id FROM etl.watermarks") == "1000\n")
        try rig.inTarget("UPDATE analytics_raw.pg_export_state SET cursor_value = '2020-01-01'")
        let second = try await rig.run(try rig.job(Self.yaml))
        #expect(ExportRig.fresh(second) == 0, "it is read once")
        await rig.close()
    }

    /// Rows between a position that was taken over and a later instant were not read: the position stays.
    @Test func sinceStepsOverNoPositionTakenOver() async throws {
        let rig = try await ExportRig(
            source: Self.source,
            target: Self.target + """
                ; CREATE TABLE analytics_raw.pg_export_state (key text PRIMARY KEY, cursor_value timestamp(3),
                    cursor_id text, synced_at timestamp);
                INSERT INTO analytics_raw.pg_export_state VALUES ('T', '2026-01-01 00:05:00', '300', now())
                """
        )
        try rig.inTarget(
            "INSERT INTO analytics_raw.t SELECT i, 'n' || i, '2026-01-01'::timestamptz + i * interval '1 s' "
                + "FROM generate_series(1, 300) i"
        )
        let job = try rig.job(Self.yaml)
        #expect(try await rig.run(job, Self.options { $0.since = "2026-01-01 00:15:00+00" }).counts["written"] == 101)
        #expect(try rig.inTarget("SELECT count(*) FROM etl.watermarks") == "0\n")
        try await rig.run(job)
        #expect(try rig.inTarget("SELECT count(*) FROM analytics_raw.t") == "1000\n", "nothing was stepped over")
        await rig.close()
    }

    /// PostgreSQL's times may hold any punctuation: a quote in one is part of the text, not of the statement.
    @Test func aMovedWatermarkIsAText() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let job = try rig.job(Self.yaml, lookback: .seconds(60))
        try await rig.run(job)
        try rig.inTarget("UPDATE etl.watermarks SET cursor_value = '2026-01-01 00:15:00''+00', snapshot = NULL")
        try rig.inTarget("DELETE FROM analytics_raw.t WHERE id BETWEEN 850 AND 950")
        #expect(try await rig.run(job).counts["written"] == 101)
        await rig.close()
    }

    /// INV-2, also where the cursor is the same and only the id would go back.
    @Test func aFullRunTakesNoPositionBack() async throws {
        let rig = try await ExportRig(
            source: "CREATE TABLE t (id int PRIMARY KEY, at int NOT NULL); CREATE INDEX ON t (at, id); "
                + "INSERT INTO t VALUES (9, 5), (10, 5), (11, 5)",
            target: "CREATE TABLE analytics_raw.t (id int PRIMARY KEY, at int)"
        )
        let job = try rig.job(Self.yaml)
        try await rig.run(job)
        try rig.inSource("DELETE FROM t WHERE id > 9")
        try await rig.run(job, Self.full)
        #expect(try rig.inTarget("SELECT cursor_value, cursor_id FROM etl.watermarks") == "5|11\n", "9 is before 11")
        await rig.close()
    }

    @Test func sinceFillsWithoutMovingThePosition() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let job = try rig.job(Self.yaml)
        try await rig.run(job)
        let before = try rig.inTarget("SELECT cursor_ts, cursor_id, snapshot FROM etl.watermarks")
        try rig.inTarget("UPDATE analytics_raw.t SET name = 'spoilt' WHERE id IN (10, 900)")
        let summary = try await rig.run(job, Self.options { $0.since = "2026-01-01 00:15:00+00" })
        #expect(summary.counts["read"] == 101)
        #expect(summary.counts["written"] == 1)
        #expect(!summary.isWhole, "what came since the position was not read")
        #expect(try rig.inTarget("SELECT cursor_ts, cursor_id, snapshot FROM etl.watermarks") == before)
        let error = await #expect(throws: TallyError.self) {
            try await rig.run(job, Self.options { $0.since = "yesterday'; DROP TABLE t; --" })
        }
        #expect(error?.kind == .requestInvalid)
        await rig.close()
    }

    @Test func rowsOfOtherBooksAreLeftAlone() async throws {
        let rig = try await ExportRig(
            source: "CREATE TABLE line (book int, no int, v text, at timestamptz NOT NULL, PRIMARY KEY (book, no)); "
                + "CREATE INDEX ON line (at)",
            target: "CREATE TABLE analytics_raw.line (no int, v text, book int, at timestamptz, extra text, "
                + "PRIMARY KEY (no, book)); INSERT INTO analytics_raw.line VALUES (1, 'mine', 9, now(), 'kept')"
        )
        try rig.inSource(
            "INSERT INTO line SELECT b, n, 'v' || b || n, now() FROM generate_series(1, 3) b, generate_series(1, 4) n"
        )
        let job = try rig.job(
            """
            exports:
              - key: Line
                source: {table: line, cursor: {field: at}}
                destination: {table: line, conflictColumns: [book, no]}
            """
        )
        #expect(try await rig.run(job).counts["written"] == 12)
        try rig.inSource("UPDATE line SET v = 'new', at = clock_timestamp() WHERE book = 2 AND no = 3")
        try rig.inTarget("UPDATE analytics_raw.line SET extra = 'kept too'")
        #expect(try await rig.run(job, Self.verify).counts["written"] == 1)
        let changed = try rig.inTarget("SELECT v, extra FROM analytics_raw.line WHERE book = 2 AND no = 3")
        #expect(changed == "new|kept too\n")
        #expect(try rig.inTarget("SELECT v FROM analytics_raw.line WHERE book = 9") == "mine\n")
        await rig.close()
    }

    /// What the source is asked is a range of its index, by typed values.
    @Test func theReadingIsAnIndexRange() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let job = try rig.job(Self.yaml)
        try await rig.run(job)
        try rig.inSource("INSERT INTO t VALUES (3000, 'x', now()); ANALYZE t")
        let seen = Mutex("")
        let failpoint = Failpoint { name in
            guard name == "export.beforeBatch" else { return }
            let sql = try rig.inSource(
                "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%COPY (SELECT%' "
                    + "AND pid <> pg_backend_pid()"
            )
            seen.withLock { $0 = sql }
        }
        try await rig.run(job, failpoint: failpoint)
        let sql = seen.withLock { $0 }
        let select = try #require(sql.firstMatch(of: #/COPY \((.*)\) TO STDOUT/#)?.1)
        #expect(select.contains("(\"at\", \"id\") > ('2026-01-01 00:16:40.000000+00'::timestamptz, '1000'::integer)"))
        #expect(!select.contains("OFFSET"))
        let plan = try rig.inSource("EXPLAIN \(select)")
        #expect(plan.contains("Index Cond: (ROW(at, id) > ROW("), "\(plan)")
        await rig.close()
    }
}
