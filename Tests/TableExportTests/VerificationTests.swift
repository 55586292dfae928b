import Engine
import Postgres
import Runtime
import TableExport
import TestKit
import Testing

/// What `--verify` does where keys are shared or have no order of their own.
@Suite(.serialized) struct VerificationTests {
    /// A log of states becomes the present state: several rows of the source share the target's key.
    @Test func ofRowsThatShareAKeyTheNewestCounts() async throws {
        let rig = try await ExportRig(
            source: """
                CREATE TABLE states (id int PRIMARY KEY, device int NOT NULL, state text, at int NOT NULL);
                CREATE INDEX ON states (at, id);
                INSERT INTO states SELECT i, i % 100, 's' || i, i / 10 FROM generate_series(1, 2000) i
                """,
            target: "CREATE TABLE analytics_raw.states (id int, device int PRIMARY KEY, state text, at int)"
        )
        let job = try rig.job(
            """
            exports:
              - key: States
                source: {table: states, cursor: {field: at, idField: id}}
                destination: {table: states, conflictColumns: [device]}
            """
        )
        let clean = try await rig.run(job, SyncTests.verify)
        #expect(clean.counts["missing"] == 0 && clean.counts["stale"] == 0 && clean.counts["extra"] == 0)
        try rig.inTarget(
            "UPDATE analytics_raw.states SET state = 'old' WHERE device = 7; "
                + "DELETE FROM analytics_raw.states WHERE device = 8"
        )
        var dry = SyncTests.verify
        dry.dryRun = true
        let found = try await rig.run(job, dry)
        let keys = (found.details["verify"]?["keys"]?.array ?? []).compactMap(\.string)
        #expect(Set(keys) == ["7 stale", "8 missing"])
        await rig.close()
    }

    /// A text has no order that an index of both servers gives: one pass a side, however large the table is.
    @Test func textKeysAreComparedInOnePass() async throws {
        let rig = try await ExportRig(
            source: """
                CREATE TABLE t (book text, no int, name text, at int NOT NULL, PRIMARY KEY (book, no));
                CREATE INDEX ON t (at);
                INSERT INTO t SELECT md5(i::text), i % 3, 'n' || i, i FROM generate_series(1, 60000) i
                """,
            target: "CREATE TABLE analytics_raw.t (book text, no int, name text, at int, PRIMARY KEY (book, no))"
        )
        let job = try rig.job(
            """
            exports:
              - key: T
                source: {table: t, cursor: {field: at}}
                destination: {table: t, conflictColumns: [book, no]}
            """
        )
        let clean = try await rig.run(job, SyncTests.verify)
        #expect(clean.details["verify"]?["ranges"]?.int == 1, "no range of keys was asked for")
        #expect(clean.counts["missing"] == 0 && clean.counts["stale"] == 0 && clean.counts["extra"] == 0)
        try rig.inTarget(
            "DELETE FROM analytics_raw.t WHERE name = 'n777'; "
                + "UPDATE analytics_raw.t SET name = 'x' WHERE name = 'n33333'; "
                + "INSERT INTO analytics_raw.t VALUES ('only here', 1, 'y', 1)"
        )
        var dry = SyncTests.verify
        dry.dryRun = true
        let found = try await rig.run(job, dry)
        let keys = (found.details["verify"]?["keys"]?.array ?? []).compactMap(\.string)
        let lost = try rig.inSource("SELECT md5('777')").dropLast()
        let changed = try rig.inSource("SELECT md5('33333')").dropLast()
        #expect(Set(keys) == ["\(lost),0 missing", "\(changed),0 stale", "only here,1 extra"], "\(keys)")
        #expect(found.details["verify"]?["ranges"]?.int == 2)
        await rig.close()
    }
}
