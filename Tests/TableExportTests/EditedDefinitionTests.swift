import Engine
import Postgres
import Runtime
import TableExport
import TestKit
import Testing

/// A position belongs to what was exported when it was reached, not to a key alone.
@Suite(.serialized) struct EditedDefinitionTests {
    static let source =
        SyncTests.source + """
            ; CREATE TABLE u (id int PRIMARY KEY, name text, at timestamptz NOT NULL, n int NOT NULL DEFAULT 1);
            CREATE INDEX ON u (at, id); CREATE INDEX ON u (n, id); INSERT INTO u (id, name, at) SELECT * FROM t;
            ALTER TABLE t ADD COLUMN n int; UPDATE t SET n = id; CREATE INDEX ON t (n, id)
            """
    static let target =
        "CREATE TABLE analytics_raw.t (id int PRIMARY KEY, name text, at timestamptz, n int); "
        + "CREATE TABLE analytics_raw.other (LIKE analytics_raw.t INCLUDING ALL)"

    private static func count(_ rig: ExportRig, _ table: String) throws -> String {
        try rig.inTarget("SELECT count(*) FROM analytics_raw.\(table)")
    }

    @Test(arguments: [
        ("destination: {table: t", "destination: {table: other", "destination was analytics_raw.t", "other"),
        ("source: {table: t", "source: {table: u", "source was public.t and is public.u", "t"),
        ("cursor: {field: at", "cursor: {field: n", "cursor was at and is n", "t"),
        ("idField: id", "idField: n", "idField was id and is n", "t"),
    ])
    func anotherExportIsNotTakenForTheOld(old: String, new: String, message: String, table: String) async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        try await rig.run(try rig.job(SyncTests.yaml))
        try rig.inSource("UPDATE u SET name = 'u' || id")
        let edited = try rig.job(SyncTests.yaml.replacing(old, with: new))
        var dry = RunOptions()
        dry.dryRun = true
        for options in [RunOptions(), dry, SyncTests.options { $0.since = "2026-01-01" }] {
            let error = await #expect(throws: TallyError.self) { try await rig.run(edited, options) }
            #expect(error?.kind == .schemaMismatch)
            #expect(error?.summary.contains(message) == true, "\(error?.summary ?? "")")
        }
        let checked = await #expect(throws: TallyError.self) { try await edited.check() }
        #expect(checked?.kind == .schemaMismatch, "doctor says it too")
        #expect(try Self.count(rig, "other") == "0\n")
        let full = try await rig.run(edited, SyncTests.full)
        #expect(full.counts["read"] == 1000)
        #expect(try Self.count(rig, table) == "1000\n")
        #expect(ExportRig.fresh(try await rig.run(edited)) < 1000, "and the position is of the edited definition")
        await rig.close()
    }

    /// Rows that share the position's cursor are read again then, and what the new id means is known from there on.
    @Test func anIdMayBeAddedAndLeftOut() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let without = SyncTests.yaml.replacing(", idField: id", with: "")
        for yaml in [without, SyncTests.yaml, without, SyncTests.yaml] { try await rig.run(try rig.job(yaml)) }
        #expect(try Self.count(rig, "t") == "1000\n")
        let other = try rig.job(SyncTests.yaml.replacing("idField: id", with: "idField: n"))
        let error = await #expect(throws: TallyError.self) { try await rig.run(other) }
        #expect(error?.kind == .schemaMismatch)
        await rig.close()
    }

    /// What is read from now on may be older than what was: the position goes with the definition.
    @Test(arguments: ["TRUNCATE u", "UPDATE u SET at = at - interval '1 year'"])
    func theNewPositionMayLieBeforeTheOld(sql: String) async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        try await rig.run(try rig.job(SyncTests.yaml))
        try rig.inSource(sql)
        let edited = try rig.job(SyncTests.yaml.replacing("source: {table: t", with: "source: {table: u"))
        try await rig.run(edited, SyncTests.full)
        try rig.inSource("INSERT INTO u VALUES (5000, 'new', '2025-06-01')")
        try await rig.run(edited)
        #expect(try rig.inTarget("SELECT name FROM analytics_raw.t WHERE id = 5000") == "new\n")
        await rig.close()
    }

    /// An export that ran before positions knew what they belong to goes on with its definition as it is.
    @Test func whatWasNotKeptIsTakenAsItIs() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let job = try rig.job(SyncTests.yaml)
        try await rig.run(job)
        try rig.inTarget(
            "UPDATE etl.table_exports SET source_table = NULL, cursor_field = NULL, id_field = NULL, "
                + "target_table = NULL"
        )
        try rig.inSource("INSERT INTO t VALUES (5000, 'new', now())")
        #expect(try await rig.run(job).counts["written"] == 1)
        #expect(try rig.inTarget("SELECT source_table FROM etl.table_exports") == "public.t\n")
        let edited = try rig.job(SyncTests.yaml.replacing("destination: {table: t", with: "destination: {table: other"))
        await #expect(throws: TallyError.self) { try await rig.run(edited) }
        await rig.close()
    }

    /// A first run that stumbled has left a position: an edit after it is one too.
    @Test func anEditAfterAFirstRunThatStumbledIsSeen() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let cut = CutAt(12)
        await #expect(throws: CutAt.Cut.self) {
            try await rig.run(try rig.job(SyncTests.yaml), RunOptions(batchSize: 100), failpoint: cut.failpoint)
        }
        #expect(try rig.inTarget("SELECT count(*) FROM etl.watermarks") == "1\n", "some batches have arrived")
        let edited = try rig.job(SyncTests.yaml.replacing("destination: {table: t", with: "destination: {table: other"))
        let error = await #expect(throws: TallyError.self) { try await rig.run(edited) }
        #expect(error?.kind == .schemaMismatch)
        await rig.close()
    }

    @Test func anEmptiedTargetIsNoSuccess() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let job = try rig.job(SyncTests.yaml)
        try await rig.run(job)
        try rig.inTarget("TRUNCATE analytics_raw.t")
        let error = await #expect(throws: TallyError.self) { try await rig.run(job) }
        #expect(error?.kind == .schemaMismatch)
        #expect(error?.summary.contains("is empty although rows up to the position") == true, "\(error?.summary ?? "")")
        try await rig.run(job, SyncTests.full)
        #expect(try Self.count(rig, "t") == "1000\n")
        try rig.inTarget("TRUNCATE analytics_raw.t")
        try rig.inSource("TRUNCATE t; INSERT INTO t VALUES (5000, 'new', now())")
        try await rig.run(job)
        #expect(try Self.count(rig, "t") == "1\n", "the source has no more of them either")
        await rig.close()
    }

    /// What lies before the instant was not read: the next run begins where a first run does.
    @Test func aFirstRunWithSinceLeavesNoPosition() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target)
        let job = try rig.job(SyncTests.yaml)
        #expect(
            try await rig.run(job, SyncTests.options { $0.since = "2026-01-01 00:15:00+00" }).counts["written"] == 101
        )
        #expect(try rig.inTarget("SELECT count(*) FROM etl.watermarks") == "0\n")
        try await rig.run(job)
        #expect(try Self.count(rig, "t") == "1000\n")
        await rig.close()
    }
}
