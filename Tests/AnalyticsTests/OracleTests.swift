import Analytics
import Engine
import Foundation
import TestKit
import Testing

/// Every measure against an independent calculation in Python, over generated shops; agreement to the last digit.
@Suite(.serialized) struct OracleTests {
    struct Shape: Sendable, CustomTestStringConvertible {
        let seed: UInt64
        let zone: String
        let v1: Bool
        let legacy: Bool
        var season = AnalyticsShop.Season.march
        var testDescription: String {
            "TEST_SEED=\(seed) \(zone) \(season.first) \(v1 ? "v1" : "v2")\(legacy ? " legacy" : "")"
        }
    }

    static let shapes = [
        Shape(seed: 11, zone: "Europe/Berlin", v1: false, legacy: false),
        Shape(seed: 11, zone: "Europe/Berlin", v1: true, legacy: false),
        Shape(seed: 12, zone: "UTC", v1: true, legacy: true),
        Shape(seed: 13, zone: "UTC", v1: false, legacy: false),
        Shape(seed: 14, zone: "Europe/Berlin", v1: true, legacy: true, season: .october),
    ]

    @Test(arguments: shapes)
    func everyMeasureAgrees(shape: Shape) async throws {
        let shop = try await AnalyticsShop(seed: shape.seed, zone: shape.zone, season: shape.season)
        let settings = shop.settings(v1: shape.v1, legacy: shape.legacy)
        for record in try await shop.run(shop.jobs(settings), shape.season.wholeRange) {
            #expect(record.state == .succeeded, "\(record.job): \(String(describing: record.error))")
        }
        let stored = try shop.stored()
        let expected = try shop.expected(v1: shape.v1, legacy: shape.legacy)
        #expect(stored == expected, "\(shape.testDescription)\n\(difference(stored, expected))")
        #expect(expected.count > 700, "the oracle has something to say")
        let tables = Set(expected.map { $0.prefix { $0 != "|" } })
        #expect(tables.count == AnalyticsShop.measures.count, "every table has rows")
        await shop.close()
    }

    /// A name and an account number stand where the source has its tokens: both become tokens of ours.
    @Test func whatIsNoTokenBecomesOne() async throws {
        let shop = try await AnalyticsShop(seed: 15)
        try shop.postgres.psql(
            shop.sourceURL,
            """
            CREATE TEMPORARY TABLE chosen AS SELECT user_token AS was, (ARRAY['JaneDoe', 'DE89370400440532013000',
                'usr_01_' || repeat('a', 64), 'usr_1_' || repeat('G', 64)])[row_number() OVER (ORDER BY user_token)]
                AS becomes FROM users_v2 WHERE user_token IN (SELECT user_token FROM payments_v2) LIMIT 4;
            UPDATE users_v2 SET user_token = becomes FROM chosen WHERE user_token = was;
            UPDATE orders_v2 SET user_token = becomes FROM chosen WHERE user_token = was;
            UPDATE payments_v2 SET user_token = becomes, billing_country = 'US', ip_country = 'FR'
                FROM chosen WHERE user_token = was
            """
        )
        for record in try await shop.run(shop.jobs(shop.settings(v1: false)), AnalyticsShop.wholeRange) {
            #expect(record.state == .succeeded, "\(record.job): \(String(describing: record.error))")
        }
        let stored = try shop.stored()
        let expected = try shop.expected(v1: false)
        #expect(stored == expected, "\(difference(stored, expected))")
        for planted in ["JaneDoe", "DE89", "usr_01_", "GGGG"] {
            #expect(!stored.contains { $0.contains(planted) }, "\(planted)")
        }
        await shop.close()
    }

    /// Late rows, refunds, deletions: after the next run the warehouse equals a calculation over the source as it is.
    @Test func lateDataAreTakenAndVanishedRowsVanish() async throws {
        let shop = try await AnalyticsShop(seed: 21)
        let jobs = shop.jobs(shop.settings(v1: false))
        _ = try await shop.run(jobs, AnalyticsShop.wholeRange)
        try shop.postgres.psql(
            shop.sourceURL,
            """
            UPDATE orders_v2 SET status = 'refunded' WHERE id % 3 = 0 AND created_at >= '2026-03-31';
            DELETE FROM payments_v2 WHERE payment_method = 'paypal' AND created_at >= '2026-03-31';
            INSERT INTO notifications_v2 (id, sent_at, channel, notification_type)
                SELECT 9000 + n, '2026-04-01 22:00+02', 'sms', 'late' FROM generate_series(1, 7) n;
            DELETE FROM users_v2 WHERE user_token < 'usr_1_3'
            """
        )
        let records = try await shop.run(jobs)
        #expect(records.allSatisfy { $0.state == .succeeded }, "\(records.map { String(describing: $0.error) })")
        // The lookback reaches four days back: what lies before is as it was.
        let recent = try shop.expected(v1: false, first: "2026-03-30")
        let stored = try shop.stored()
        #expect(recent.isSubset(of: stored), "\(difference(stored, recent))")
        let older = try #require(CalendarDay("2026-03-30"))
        let stale = stored.subtracting(recent).filter { line in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false)
            let day = cells.dropFirst().lazy.compactMap { CalendarDay(String($0)) }.first
            return line.hasPrefix("public.user_activity") || day.map { $0 >= older } ?? true
        }
        #expect(stale.isEmpty, "\(stale.sorted().prefix(5))")
        await shop.close()
    }
}
