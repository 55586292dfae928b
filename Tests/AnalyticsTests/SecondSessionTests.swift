import Analytics
import Engine
import Foundation
import Postgres
import Runtime
import Synchronization
import TestKit
import Testing

/// A window is read by two sessions where one is to spare, and both see the same instant of the source.
@Suite(.serialized) struct SecondSessionTests {
    /// Waits for the answer, as long as the run that must bring it about goes on.
    private static func wait(_ shop: AnalyticsShop, until sql: String, _ ended: @Sendable () -> Bool) async throws {
        while try shop.postgres.psql(shop.sourceURL, sql) != "t\n" {
            try #require(!ended(), "the run ended before: \(sql)")
            await Task.yield()
        }
    }

    private static func waiting(_ count: Int) -> String {
        "SELECT count(*) = \(count) FROM pg_stat_activity WHERE datname = current_database() "
            + "AND application_name = 'tallyman' AND wait_event_type = 'Lock'"
    }

    /// The first session hangs at a lock; the source changes; only then is there a second one. It must see what the
    /// first would have seen.
    @Test func bothSessionsSeeTheSameInstant() async throws {
        let shop = try await AnalyticsShop(seed: 86)
        let last = AnalyticsShop.last
        let names = Measure.ofUsers.map { "\($0.table)|" }
        let expected = try shop.expected(v1: false, first: last, last: last).filter { line in
            names.contains { line.hasPrefix($0) }
        }
        let job = try shop.job("user_analytics", shop.settings(v1: false))
        let locker = try await PGConnection.connect(PGSettings(url: Secret(shop.sourceURL), applicationName: "locker"))
        try await locker.execute("BEGIN; LOCK TABLE orders_v2 IN ACCESS EXCLUSIVE MODE")
        let pool = shop.source
        let taken = BoundedChannel<Void>(capacity: 4)
        let released = BoundedChannel<Void>(capacity: 4)
        let end = TestFlag()
        try await withThrowingTaskGroup(of: [RunRecord].self) { group in
            // All sessions but one are elsewhere.
            for _ in 1..<pool.maxConnections {
                group.addTask {
                    try await pool.withConnection { _ in
                        try await taken.send(())
                        _ = try await released.receive()
                    }
                    return []
                }
            }
            for _ in 1..<pool.maxConnections { _ = try await taken.receive() }
            group.addTask {
                defer { end.set() }
                return try await shop.run([job]) { $0.date = last }
            }
            try await Self.wait(shop, until: Self.waiting(1)) { end.isSet }
            try shop.postgres.psql(
                shop.sourceURL,
                "UPDATE users_v2 SET last_activity_at = created_at; DELETE FROM users_v2 WHERE user_token < 'usr_1_8'"
            )
            for _ in 1..<pool.maxConnections { try await released.send(()) }
            // The second one has read what it could and hangs at the same lock.
            try await Self.wait(shop, until: Self.waiting(2)) { end.isSet }
            try await locker.execute("COMMIT")
            for try await records in group {
                for record in records { #expect(record.state == .succeeded, "\(record.error?.summary ?? "")") }
            }
        }
        let stored = try shop.stored()
        #expect(stored == expected && !stored.isEmpty, "\(difference(stored, expected))")
        await locker.close()
        await shop.close()
    }

    /// With one session for each job and none to spare, all four run at once, and none takes two.
    @Test func allFourRunAtOnceWithinTheBudget() async throws {
        let shop = try await AnalyticsShop(seed: 87)
        for sessions in [4, 5] {
            let pool = AnalyticsFeatureParts.sourcePool(Secret(shop.sourceURL), maxConnections: sessions)
            let locker = try await PGConnection.connect(
                PGSettings(url: Secret(shop.sourceURL), applicationName: "locker")
            )
            try await locker.execute(
                "BEGIN; LOCK TABLE users_v2, orders_v2, payments_v2, notifications_v2 IN ACCESS EXCLUSIVE MODE"
            )
            let jobs = shop.jobs(shop.settings(v1: false), source: pool)
            let end = TestFlag()
            try await withThrowingTaskGroup(of: [RunRecord].self) { group in
                group.addTask {
                    defer { end.set() }
                    return try await shop.run(jobs, atOnce: true) { $0.date = AnalyticsShop.last }
                }
                // Whoever asked first has the one to spare.
                try await Self.wait(shop, until: Self.waiting(sessions)) { end.isSet }
                let busy = try shop.postgres.psql(
                    shop.sourceURL,
                    "SELECT count(*), count(DISTINCT substring(query FROM "
                        + "'^-- (Users|Orders|Payments|Notifications) ')) FROM pg_stat_activity "
                        + "WHERE datname = current_database() AND application_name = 'tallyman'"
                )
                #expect(busy == "\(sessions)|4\n", "sessions, and the first query of each job")
                try await locker.execute("COMMIT")
                for try await records in group { #expect(records.allSatisfy { $0.state == .succeeded }) }
            }
            await locker.close()
            await pool.close()
        }
        await shop.close()
    }
}

/// Set once, by whichever task comes first.
private final class TestFlag: Sendable {
    private let state = Mutex(false)
    var isSet: Bool { state.withLock { $0 } }
    func set() { state.withLock { $0 = true } }
}
