import Engine
import Foundation
import Postgres
import Runtime
import TableExport
import TestKit
import Testing

/// A read-only replica as the source: the window behind the cursor is read whole, and the run says so.
@Suite(.serialized) struct ReplicaTests {
    @Test func aReplicaIsReadByOverlapAndItsPromotionIsNoticed() async throws {
        let primary = try RestartablePostgres()
        let server = try TestPostgres.shared()
        try server.psql(
            primary.url,
            """
            CREATE TABLE t (id int PRIMARY KEY, name text, at timestamptz NOT NULL); CREATE INDEX ON t (at, id);
            INSERT INTO t SELECT i, 'n' || i, now() - interval '1 d' FROM generate_series(1, 100) i
            """
        )
        let replica = try RestartablePostgres(replicaOf: primary)
        let rig = try await ExportRig(
            source: "SELECT 1",
            target: "CREATE TABLE analytics_raw.t (id int PRIMARY KEY, name text, at timestamptz)"
        )
        let pool = PGPool(PGSettings(url: Secret(replica.url), applicationName: "test", readOnly: true))
        let job = try rig.job(SyncTests.yaml, source: pool)
        #expect(try await rig.run(job).counts["written"] == 100)

        // Committed behind the cursor, and a little in front of it.
        try server.psql(
            primary.url,
            "INSERT INTO t VALUES (200, 'future', now() + interval '1 s'); "
                + "INSERT INTO t VALUES (201, 'late', now() - interval '5 min')"
        )
        try await Self.caughtUp(server, primary, replica)
        let second = try await rig.run(job)
        #expect(second.counts["written"] == 2)
        try server.psql(primary.url, "INSERT INTO t VALUES (202, 'later', now() - interval '5 min')")
        try await Self.caughtUp(server, primary, replica)
        let third = try await rig.run(job)
        #expect(third.counts["written"] == 1)
        #expect(third.details["lookback"]?.string == "overlap")
        let said = (third.details["notices"]?.array ?? []).compactMap(\.string).joined()
        #expect(said.contains("the source is a replica or hides its snapshots"))

        try replica.promote()
        try server.psql(replica.url, "INSERT INTO t VALUES (203, 'promoted', now() - interval '5 min')")
        let fourth = try await rig.run(job)
        #expect(fourth.counts["written"] == 1)
        #expect(fourth.details["lookback"]?.string == "overlap", "the last run could not see a snapshot")
        try server.psql(replica.url, "INSERT INTO t VALUES (204, 'then', now() - interval '5 min')")
        let fifth = try await rig.run(job)
        #expect(fifth.details["lookback"]?.string == "snapshot")
        #expect(fifth.counts["read"] == 1, "only what became visible")
        #expect(fifth.counts["written"] == 1)
        await pool.close()
        await rig.close()
    }

    private static func caughtUp(
        _ server: TestPostgres,
        _ primary: RestartablePostgres,
        _ replica: RestartablePostgres
    ) async throws {
        let goal = try server.psql(primary.url, "SELECT pg_current_wal_lsn()").trimmingCharacters(in: .newlines)
        for _ in 0..<600 {
            if try server.psql(replica.url, "SELECT pg_last_wal_replay_lsn() >= '\(goal)'") == "t\n" { return }
        }
        throw TestServiceMissing("the replica does not follow")
    }
}
