import Engine
import Postgres
import Runtime
import TableExport
import TestKit
import Testing

/// Rows that change in ways their cursor does not tell, and targets that do not take what they are given.
@Suite(.serialized) struct RepairTests {
    static let source = """
        CREATE TABLE t (id int PRIMARY KEY, n int, at timestamptz NOT NULL); CREATE INDEX ON t (at, id);
        INSERT INTO t SELECT i, i, now() - i * interval '1 s' FROM generate_series(1, 100) i
        """
    static func target(_ key: String = "int") -> String {
        "CREATE TABLE analytics_raw.t (id \(key) PRIMARY KEY, n int, at timestamptz)"
    }
    static let mend = "UPDATE t SET at = now(), n = 5000 WHERE id = 50"

    /// A key that only gets wider on its way is still unique: a row is not compared with an older self.
    @Test(arguments: ["bigint", "numeric", "text", "varchar(20)"])
    func aCorrectedFutureStampArrives(key: String) async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target(key))
        try rig.inSource("UPDATE t SET at = now() + interval '4 years' WHERE id = 50")
        let job = try rig.job(SyncTests.yaml)
        try await rig.run(job)
        try rig.inSource(Self.mend)
        try await rig.run(job)
        #expect(try rig.inTarget("SELECT n FROM analytics_raw.t WHERE id = '50'") == "5000\n")
        await rig.close()
    }

    /// Where a view hides what is unique, a row whose cursor went back waits for a run that reads all.
    @Test func fullRepairsWhatVerifyNames() async throws {
        let rig = try await ExportRig(
            source: Self.source + "; CREATE VIEW v AS SELECT * FROM t",
            target: Self.target()
        )
        try rig.inSource("UPDATE t SET at = now() + interval '4 years' WHERE id = 50")
        let job = try rig.job(SyncTests.yaml.replacing("source: {table: t", with: "source: {table: v"))
        try await rig.run(job)
        try rig.inSource(Self.mend)
        let error = await #expect(throws: TallyError.self) { try await rig.run(job, SyncTests.verify) }
        #expect(error?.kind == .proofFailed)
        var repair = SyncTests.verify
        repair.full = true
        let repaired = try await rig.run(job, repair)
        #expect(repaired.counts["stale"] == 0)
        #expect(try rig.inTarget("SELECT n FROM analytics_raw.t WHERE id = 50") == "5000\n")
        await rig.close()
    }

    private static func trigger(_ event: String, _ body: String) -> String {
        """
        ; CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \(body); RETURN NEW; END $$;
        CREATE TRIGGER meddle BEFORE \(event) ON analytics_raw.t FOR EACH ROW EXECUTE FUNCTION meddle()
        """
    }

    @Test(arguments: ["", "\n    onError: quarantine"])
    func aTriggerThatSwallowsUpdatesIsNoSuccess(policy: String) async throws {
        let rig = try await ExportRig(
            source: Self.source,
            target: Self.target() + Self.trigger("UPDATE", "IF NEW.id = 50 THEN RETURN NULL; END IF")
        )
        let job = try rig.job(SyncTests.yaml + policy)
        try await rig.run(job)
        let before = try rig.inTarget("SELECT cursor_ts, cursor_id FROM etl.watermarks")
        try rig.inSource("UPDATE t SET at = now(), n = 5000 WHERE id IN (49, 50)")
        for options in [RunOptions(), SyncTests.full] {
            let error = await #expect(throws: TallyError.self) { try await rig.run(job, options) }
            #expect(error?.kind == .proofFailed, "INV-11")
            #expect(error?.summary.contains("1 of") == true, "\(error?.summary ?? "")")
        }
        #expect(try rig.inTarget("SELECT cursor_ts, cursor_id FROM etl.watermarks") == before)
        #expect(try rig.inTarget("SELECT count(*) FROM analytics_raw.t WHERE n = 5000") == "0\n")
        await rig.close()
    }

    /// What a trigger makes of a row is its own business, as long as the row is written.
    @Test(arguments: ["", "\n    onError: quarantine"])
    func aTriggerThatAltersRowsIsNoFault(policy: String) async throws {
        let rig = try await ExportRig(
            source: Self.source,
            target: Self.target() + Self.trigger("INSERT OR UPDATE", "NEW.n := NEW.n + NEW.id % 2")
        )
        let job = try rig.job(SyncTests.yaml + policy)
        try await rig.run(job)
        try rig.inSource("UPDATE t SET n = n + 10 WHERE id <= 20")
        // On a conflict the trigger comes before the compare: what it makes of a row is mostly what the target has.
        // Those it has altered twice, as a new row and as an update, differ each time and are written each time.
        #expect(try await rig.run(job, SyncTests.full).counts["written"] == 20)
        #expect(try await rig.run(job, SyncTests.full).counts["written"] == 10)
        await rig.close()
    }

    /// On updates alone it makes rows differ from the source for good, and they are written each time.
    @Test func aTriggerThatAltersUpdatesIsNoFault() async throws {
        let rig = try await ExportRig(
            source: Self.source,
            target: Self.target() + Self.trigger("UPDATE", "NEW.n := NEW.n + 1000")
        )
        let job = try rig.job(SyncTests.yaml)
        try await rig.run(job)
        try rig.inSource("UPDATE t SET n = n + 10 WHERE id <= 20")
        for _ in 0..<2 { #expect(try await rig.run(job, SyncTests.full).counts["written"] == 20) }
        await rig.close()
    }

    /// Who wrote a row stands in a column of the system's, which rights on columns do not show.
    @Test func rightsOnColumnsAreEnough() async throws {
        let rig = try await ExportRig(source: Self.source, target: Self.target())
        let role = "export_columns_\(rig.sourceURL.suffix(8))".replacing("-", with: "_")
        try rig.inTarget(
            """
            CREATE ROLE \(role) LOGIN; GRANT USAGE ON SCHEMA etl, analytics_raw TO \(role);
            GRANT ALL ON ALL TABLES IN SCHEMA etl TO \(role); GRANT ALL ON ALL SEQUENCES IN SCHEMA etl TO \(role);
            GRANT SELECT (id, n, at), INSERT, UPDATE ON analytics_raw.t TO \(role)
            """
        )
        defer { _ = try? rig.inTarget("DROP OWNED BY \(role); DROP ROLE \(role)") }
        let poor = rig.asRole(role)
        let job = try rig.job(SyncTests.yaml, target: poor.target)
        try await rig.run(job)
        try rig.inSource("UPDATE t SET n = n + 10 WHERE id <= 20")
        #expect(try await rig.run(job, SyncTests.full).counts["written"] == 20)
        await poor.source.close()
        await poor.target.close()
        await rig.close()
    }

    /// A row that a trigger makes what it was need not be written; PostgreSQL has a trigger that leaves it.
    @Test func whatWouldChangeNothingMayBeLeft() async throws {
        let rig = try await ExportRig(
            source: Self.source,
            target: Self.target() + Self.trigger("UPDATE", "NEW.n := OLD.n; NEW.at := OLD.at")
                + "; CREATE TRIGGER suppress BEFORE UPDATE ON analytics_raw.t "
                + "FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        )
        let job = try rig.job(SyncTests.yaml)
        try await rig.run(job)
        try rig.inSource("UPDATE t SET n = n + 10 WHERE id <= 20")
        #expect(try await rig.run(job, SyncTests.full).counts["written"] == 0)
        await rig.close()
    }
}
