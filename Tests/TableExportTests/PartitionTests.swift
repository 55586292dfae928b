import Engine
import Postgres
import Runtime
import TableExport
import TestKit
import Testing

/// Sources that consist of parts, and parts that come later.
@Suite(.serialized) struct PartitionTests {
    static let columns = "(id int NOT NULL, name text, at timestamptz NOT NULL)"
    static let target = "CREATE TABLE analytics_raw.t (id int PRIMARY KEY, name text, at timestamptz)"

    private static func rows(_ table: String, _ from: Int, _ to: Int) -> String {
        "INSERT INTO \(table) SELECT i, 'n' || i, '2026-01-01'::timestamptz + i * interval '1 min' "
            + "FROM generate_series(\(from), \(to)) i"
    }

    static let partitioned = """
        CREATE TABLE t \(columns) PARTITION BY RANGE (id); CREATE INDEX ON t (at, id);
        CREATE TABLE late PARTITION OF t FOR VALUES FROM (500) TO (1000); \(rows("t", 500, 599));
        CREATE TABLE part \(columns) PARTITION BY RANGE (id); CREATE INDEX ON part (at, id);
        CREATE TABLE leaf PARTITION OF part FOR VALUES FROM (1) TO (500)
        """
    static let inherited = """
        CREATE TABLE t \(columns); CREATE INDEX ON t (at, id);
        CREATE TABLE late () INHERITS (t); CREATE INDEX ON late (at, id); \(rows("late", 500, 599));
        CREATE TABLE part \(columns); CREATE INDEX ON part (at, id)
        """

    /// Their rows were written long before the last run, and lie behind the window too.
    @Test(arguments: [
        (partitioned, "ALTER TABLE t ATTACH PARTITION part FOR VALUES FROM (1) TO (500)"),
        (inherited, "ALTER TABLE part INHERIT t"),
    ])
    func rowsOfAnAttachedPartitionArrive(source: String, attach: String) async throws {
        let rig = try await ExportRig(source: source, target: Self.target)
        let job = try rig.job(SyncTests.yaml)
        try rig.inSource(Self.rows("part", 1, 100))
        try await rig.run(job)
        #expect(try rig.inTarget("SELECT count(*) FROM analytics_raw.t") == "100\n")
        try rig.inSource(attach)
        let summary = try await rig.run(job)
        #expect(try rig.inTarget("SELECT count(*) FROM analytics_raw.t") == "200\n")
        #expect(summary.details["notices"]?.array?.contains { $0.string?.contains("attached") == true } == true)
        try rig.inSource("INSERT INTO part SELECT 101, 'new', now()")
        #expect(try await rig.run(job).counts["written"] == 1)
        await rig.close()
    }

    /// Rows of a foreign table have no `xmin` that could tell when they came: the window is read whole.
    @Test func lateRowsOfAForeignPartitionArrive() async throws {
        let rig = try await ExportRig(
            source: "CREATE TABLE far \(Self.columns); CREATE INDEX ON far (at, id)",
            target: Self.target
        )
        let name = try rig.inSource("SELECT current_database()").dropLast()
        let port = try rig.inSource("SELECT current_setting('port')").dropLast()
        try rig.inSource(
            """
            CREATE EXTENSION postgres_fdw;
            CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw
                OPTIONS (host '127.0.0.1', port '\(port)', dbname '\(name)');
            CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'postgres', password_required 'false');
            CREATE TABLE t \(Self.columns) PARTITION BY RANGE (id); CREATE INDEX ON ONLY t (at, id);
            CREATE TABLE near PARTITION OF t FOR VALUES FROM (500) TO (1000);
            CREATE FOREIGN TABLE away PARTITION OF t FOR VALUES FROM (1) TO (500) SERVER far OPTIONS (table_name 'far');
            """
        )
        try rig.inSource("INSERT INTO near SELECT 500, 'near', now(); INSERT INTO far SELECT 1, 'far', now()")
        let job = try rig.job(SyncTests.yaml)
        try await rig.run(job)
        try rig.inSource("INSERT INTO far SELECT 2, 'late', now() - interval '1 min'")
        let summary = try await rig.run(job)
        #expect(summary.details["lookback"]?.string == "overlap")
        #expect(try rig.inTarget("SELECT count(*) FROM analytics_raw.t") == "3\n")
        await rig.close()
    }
}
