import Engine
import Foundation
import Logging
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

/// What the console asks of the ledger, on a real PostgreSQL.
@Suite struct LedgerOverviewTests {
    private static func ledger(_ runs: String) async throws -> Ledger {
        let url = try TestPostgres.shared().freshDatabase()
        let pool = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 2)
        try await pool.withConnection { connection in
            _ = try await EngineMigrations.migrator().up(connection)
            try await connection.execute(
                """
                INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, state, holder, queued_at, started_at,
                    finished_at, progress, summary)
                SELECT id::uuid, job, 'cli', 'ada', dry, state, 'here', at::timestamptz, at::timestamptz,
                    CASE WHEN seconds IS NOT NULL THEN at::timestamptz + make_interval(secs => seconds) END,
                    '{"read": 100}', summary::jsonb
                FROM (VALUES \(runs)) AS r(id, job, dry, state, at, seconds, summary)
                """
            )
        }
        return Ledger(state: pool)
    }

    private static func id(_ number: Int) -> String { "00000000-0000-0000-0000-00000000000\(number)" }

    private static let counts = #"{"counts": {"missingProducts": 4, "staleProducts": 2, "orphanedProducts": 1}}"#

    private static let history = """
        ('\(id(1))', 'a', false, 'succeeded', '2026-01-10 10:00Z', 10, '\(counts)'),
        ('\(id(2))', 'a', false, 'failed', '2026-01-10 10:01Z', 20, NULL),
        ('\(id(3))', 'a', true, 'succeeded', '2026-01-10 10:02Z', 30, '{"counts": {"missingProducts": 9}}'),
        ('\(id(4))', 'a', false, 'skipped', '2026-01-10 10:31Z', 0, NULL),
        ('\(id(5))', 'a', false, 'running', '2026-01-10 10:32Z', NULL, NULL),
        ('\(id(6))', 'b', false, 'partial', '2026-01-10 10:03Z', 5, NULL),
        ('\(id(7))', 'b', false, 'succeeded', '2026-01-10 09:00Z', 4000, NULL),
        ('\(id(8))', 'c', false, 'succeeded', '2026-01-10 07:00Z', 1, '{"counts": {}}'),
        ('\(id(9))', 'c', false, 'failed', '2026-01-10 07:10Z', 1, '{"retries": 2}'),
        ('\(id(0))', 'c', false, 'succeeded', '2026-01-10 07:20Z', 1, '{"counts": {}, "isWhole": false}')
        """

    @Test func theNewestOfEachKindIsFound() async throws {
        let ledger = try await Self.ledger(Self.history)
        func newest(_ which: NewestRun) async throws -> [String: String] {
            let records = try await ledger.newest(which, of: ["a", "b", "c", "never"])
            return Dictionary(uniqueKeysWithValues: records.map { ($0.job.rawValue, $0.id.description) })
        }
        #expect(try await newest(.ended) == ["a": Self.id(2), "b": Self.id(6), "c": Self.id(0)])
        let standing = ["a": Self.id(2), "b": Self.id(6), "c": Self.id(9)]
        #expect(try await newest(.standing) == standing, "a part that went well mends nothing")
        #expect(try await newest(.proved) == ["a": Self.id(1), "b": Self.id(7), "c": Self.id(8)])
        #expect(try await ledger.lastSuccess(job: "c")?.id.description == Self.id(8))
        #expect(try await newest(.compared) == ["a": Self.id(3)], "b counted nothing that was missing")
        #expect(try await ledger.active().map(\.id.description) == [Self.id(5)])
    }

    @Test func aTimelineSumsUpStretches() async throws {
        let ledger = try await Self.ledger(Self.history)
        let from = Date(timeIntervalSince1970: 1_768_039_200)  // 2026-01-10T10:00:00Z
        let spans = try await ledger.timeline(
            from: from,
            to: from.addingTimeInterval(3_600),
            stretchSeconds: 600,
            job: nil
        )
        #expect(spans.map(\.job.rawValue) == ["b", "a", "b", "a"], "oldest first, also what reaches into the window")
        let busy = try #require(spans.dropFirst().first)
        #expect(busy.runs == 3)
        #expect(busy.dryRuns == 1)
        #expect(busy.states == [.succeeded: 2, .failed: 1])
        #expect(busy.run.description == Self.id(2), "the one that most deserves a look")
        #expect(busy.seconds == 60)
        #expect(busy.longestSeconds == 30)
        #expect(busy.rows == 300)
        #expect(busy.counts?["missingProducts"] == 9, "the newest that compared")
        #expect(spans.last?.states == [.skipped: 1, .running: 1])
        let one = try await ledger.timeline(from: from, to: from.addingTimeInterval(60), stretchSeconds: 60, job: "a")
        #expect(one.map(\.runs) == [1])
        #expect(one.first?.counts?["staleProducts"] == 2)
    }
}

/// One record on both sides, value by value.
@Suite struct RowDifferenceTests {
    @Test func eachVerdictHasItsValues() async throws {
        let bench = try await SyncBench.make()
        try await bench.load(20)
        _ = try await bench.run(bench.job())
        try await bench.execute(
            """
            UPDATE product SET title = '<b>\u{202E}', price = NULL WHERE id = (SELECT min(id) FROM product);
            INSERT INTO product (id, title) VALUES ('nobodys', 'odd')
            """
        )
        let ids = try await bench.sql(
            "SELECT string_agg(id, ',' ORDER BY id) FROM product WHERE id <> 'nobodys'"
        ).rows[0][0].string().split(separator: ",").map(String.init)
        try await bench.execute("DELETE FROM product WHERE id = '\(ids[1])'")
        func read(_ key: String) async throws -> JSONValue {
            try await RowDifference.read(
                key,
                settings: ProductSyncSettings(),
                mongo: bench.mongo,
                cart: bench.cart,
                logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            )
        }
        let stale = try await read(ids[0])
        #expect(stale["verdict"] == "stale")
        #expect(stale["columns"]?.array?.map { $0["column"]?.string } == ["title", "price"])
        #expect(stale["columns"]?.array?.first?["target"] == .string("<b>\u{202E}"), "a value is what it is")
        #expect(stale["columns"]?.array?.last?["target"] == .null)
        #expect(stale["columns"]?.array?.last?["source"]?.string?.isEmpty == false)
        let missing = try await read(ids[1])
        #expect(missing["verdict"] == "missing")
        #expect(missing["columns"]?.array?.allSatisfy { $0["target"] == .null } == true)
        let orphan = try await read("nobodys")
        #expect(orphan["verdict"] == "orphaned")
        #expect(orphan["columns"]?.array?.first?["target"] == "odd")
        #expect(try await read(ids[2])["verdict"] == "equal")
        #expect(try await read("nothing")["verdict"] == "absent")
        await #expect(throws: TallyError.self) { _ = try await read("") }
        await bench.close()
    }
}
