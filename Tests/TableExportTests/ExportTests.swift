import Engine
import Postgres
import Runtime
import TableExport
import TestKit
import Testing

/// Exports between two real databases.
@Suite struct ExportTests {
    static let yaml = """
        exports:
          - key: Event
            source:
              table: event
              cursor: {field: updated_at, idField: id}
            destination: {table: event, conflictColumns: [id]}
        """
    static let sourceSQL = """
        CREATE TABLE event (id bigint PRIMARY KEY, kind text, source text, source_id int, amount numeric(12, 2),
            updated_at timestamptz NOT NULL);
        CREATE INDEX ON event (updated_at, id)
        """
    static let targetSQL = """
        CREATE TABLE analytics_raw.event (id bigint PRIMARY KEY, kind text, source text, source_id int,
            amount numeric(12, 2), updated_at timestamptz NOT NULL, note text DEFAULT 'kept')
        """
    static let columns = "id, kind, source, source_id, amount, updated_at"

    static func fill(_ rig: ExportRig, _ range: ClosedRange<Int>) throws {
        try rig.inSource(
            """
            INSERT INTO event SELECT i, 'k' || i, 'widget', i % 7, i / 3.0,
                '2026-01-01'::timestamptz + i * interval '1 second' + interval '0.123456 s'
            FROM generate_series(\(range.lowerBound), \(range.upperBound)) i
            """
        )
    }

    static func expectEqual(_ rig: ExportRig) throws {
        let source = try rig.inSource("SELECT \(columns) FROM event ORDER BY id")
        let target = try rig.inTarget("SELECT \(columns) FROM analytics_raw.event ORDER BY id")
        #expect(source == target)
    }

    @Test func anExportIsWholeIncrementalAndIdempotent() async throws {
        let rig = try await ExportRig(source: Self.sourceSQL, target: Self.targetSQL)
        let job = try rig.job(Self.yaml)
        try Self.fill(rig, 1...2_500)
        let first = try await rig.run(job, RunOptions(batchSize: 1_000))
        #expect(first.counts["read"] == 2_500)
        #expect(first.counts["written"] == 2_500)
        #expect(first.counts["batches"] == 3)
        #expect(first.proof == .commandTags)
        try Self.expectEqual(rig)

        let idle = try await rig.run(job)
        #expect(ExportRig.fresh(idle) == 0, "nothing is read twice")

        try Self.fill(rig, 2_501...2_600)
        try rig.inSource("UPDATE event SET kind = 'moved', updated_at = '2026-06-01' WHERE id <= 10")
        let second = try await rig.run(job)
        #expect(ExportRig.fresh(second) == 110)
        #expect(second.counts["written"] == 110)
        try Self.expectEqual(rig)
        #expect(try rig.inTarget("SELECT DISTINCT note FROM analytics_raw.event") == "kept\n")

        let full = try await rig.run(job, Self.full)
        #expect(full.counts["read"] == 2_600)
        #expect(full.counts["written"] == 0, "identical rows are left alone")
        #expect(full.counts["unchanged"] == 2_600)
        await rig.close()
    }

    static var full: RunOptions {
        var options = RunOptions()
        options.full = true
        return options
    }

    @Test func aKilledRunGoesOnFromItsLastBatch() async throws {
        let rig = try await ExportRig(source: Self.sourceSQL, target: Self.targetSQL)
        let job = try rig.job(Self.yaml)
        try Self.fill(rig, 1...1_000)
        var step = 1
        while true {
            do {
                try await rig.run(job, RunOptions(batchSize: 100), failpoint: CutAt(step).failpoint)
                break
            } catch is CutAt.Cut {
                let rows = Int(try rig.inTarget("SELECT count(*) FROM analytics_raw.event").dropLast()) ?? -1
                let mark = try rig.inTarget("SELECT cursor_id FROM etl.watermarks").dropLast()
                #expect(rows == Int(mark) ?? 0, "INV-1: rows and position arrive together")
                step += 3
            }
        }
        try Self.expectEqual(rig)
        await rig.close()
    }

    @Test func aTransformInSQLIsDoneByTheSource() async throws {
        let rig = try await ExportRig(
            source: Self.sourceSQL,
            target: """
                CREATE TABLE analytics_raw.event (id bigint PRIMARY KEY, event_kind text, source text, source_id int,
                    amount double precision, updated_at timestamptz NOT NULL, is_widget boolean)
                """
        )
        let yaml =
            Self.yaml + """

                    transform:
                      rename: {kind: event_kind}
                      columns: {is_widget: "source = 'widget'"}
                      casts: {amount: double precision}
                      skip: "source_id = 3"
                """
        let job = try rig.job(yaml)
        try Self.fill(rig, 1...70)
        #expect(try await rig.run(job).counts["written"] == 60)
        #expect(try rig.inTarget("SELECT DISTINCT is_widget FROM analytics_raw.event") == "t\n")
        #expect(try rig.inTarget("SELECT event_kind FROM analytics_raw.event WHERE id = 4") == "k4\n")
        await rig.close()
    }

    @Test func aDryRunCountsAndWritesNothing() async throws {
        let rig = try await ExportRig(source: Self.sourceSQL, target: Self.targetSQL)
        let job = try rig.job(Self.yaml)
        try Self.fill(rig, 1...50)
        try rig.inTarget("INSERT INTO analytics_raw.event (id, updated_at) VALUES (7, '2020-01-01')")
        let rows = "SELECT ctid, xmin, * FROM analytics_raw.event"
        let before = try rig.inTarget(rows)
        let summary = try await rig.run(job, RunOptions(dryRun: true))
        #expect(summary.counts["read"] == 50)
        #expect(try rig.inTarget(rows) == before, "INV-10")
        #expect(try rig.inTarget("SELECT count(*) FROM etl.watermarks") == "0\n")
        // The session that was lent read-only writes again for the next run.
        #expect(try await rig.run(job).counts["written"] == 50)
        await rig.close()
    }

    @Test func withoutAnIdTiesAreReadWhole() async throws {
        let rig = try await ExportRig(source: Self.sourceSQL, target: Self.targetSQL)
        let job = try rig.job(Self.yaml.replacing(", idField: id", with: ""))
        try Self.fill(rig, 1...20)
        try rig.inSource("UPDATE event SET updated_at = '2026-03-01'")
        var step = 1
        while step < 200 {
            do {
                try await rig.run(job, RunOptions(batchSize: 3), failpoint: CutAt(step).failpoint)
                break
            } catch is CutAt.Cut {
                step += 7
            }
        }
        try Self.expectEqual(rig)
        try rig.inSource("INSERT INTO event SELECT 100, 'late tie', 's', 1, 1, '2026-03-01'")
        try await rig.run(job)
        try Self.expectEqual(rig)
        await rig.close()
    }

    @Test(arguments: [
        ("timestamp", "'2026-01-01'::timestamp + i * interval '0.000001 s'"),
        ("date", "'2026-01-01'::date + i"), ("bigint", "i + 4294967296"), ("integer", "i"), ("smallint", "i"),
    ])
    func everyCursorTypeWorks(type: String, value: String) async throws {
        let rig = try await ExportRig(
            source: "CREATE TABLE t (k text PRIMARY KEY, at \(type)); CREATE INDEX ON t (at, k)",
            target: "CREATE TABLE analytics_raw.t (k text PRIMARY KEY, at \(type))"
        )
        let job = try rig.job(
            """
            exports:
              - key: T
                source: {table: t, cursor: {field: at, idField: k}}
                destination: {table: t, conflictColumns: [k]}
            """
        )
        func fill(_ range: ClosedRange<Int>) throws {
            try rig.inSource(
                "INSERT INTO t SELECT 'k\\' || i, \(value) "
                    + "FROM generate_series(\(range.lowerBound), \(range.upperBound)) i"
            )
        }
        try fill(1...30)
        try rig.inSource("INSERT INTO t VALUES ('without', NULL)")
        let first = try await rig.run(job, RunOptions(batchSize: 7))
        #expect(first.counts["written"] == 30)
        #expect(first.counts["withoutCursor"] == 1)
        try fill(31...40)
        let second = try await rig.run(job, RunOptions(batchSize: 7))
        #expect(second.counts["written"] == 10)
        #expect(ExportRig.fresh(second) == 10, "a position keeps every digit")
        #expect(
            try rig.inSource("SELECT * FROM t WHERE at IS NOT NULL ORDER BY 1")
                == rig.inTarget("SELECT * FROM analytics_raw.t ORDER BY 1")
        )
        await rig.close()
    }
}
