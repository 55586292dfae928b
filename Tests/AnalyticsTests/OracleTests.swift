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

    /// Who has been back since counts on the later day: the figure of a day recomputed falls, as the decision
    /// 20261121-a-day-is-what-the-source-says-now has it, and is that of a first computation.
    @Test func aDayRecomputedIsWhatTheSourceSaysNow() async throws {
        let shop = try await AnalyticsShop(seed: 22)
        let jobs = shop.jobs(shop.settings(v1: false))
        _ = try await shop.run(jobs, AnalyticsShop.wholeRange)
        let active = "SELECT daily_active FROM analytics.activity_daily WHERE activity_date = '2026-04-01'"
        let before = try #require(Int(shop.postgres.psql(shop.warehouseURL, active).trimmingCharacters(in: .newlines)))
        let older = "SELECT a FROM analytics.activity_daily a WHERE activity_date < '2026-03-30' ORDER BY 1"
        let kept = try shop.postgres.psql(shop.warehouseURL, older)
        try shop.postgres.psql(
            shop.sourceURL,
            "UPDATE users_v2 SET last_activity_at = '2026-04-03 01:00Z' WHERE last_activity_at >= '2026-03-01'"
        )
        _ = try await shop.run(jobs)
        let after = try #require(Int(shop.postgres.psql(shop.warehouseURL, active).trimmingCharacters(in: .newlines)))
        #expect(after < before)
        let recent = try shop.expected(v1: false, first: "2026-03-30")
        let stored = try shop.stored()
        #expect(recent.isSubset(of: stored), "\(difference(stored, recent))")
        #expect(try shop.postgres.psql(shop.warehouseURL, older) == kept, "behind the lookback nothing moves")
        await shop.close()
    }

    /// Columns without a zone hold UTC, whatever the server's own zone and that of the days.
    @Test func instantsWithoutAZoneAreUTC() async throws {
        let shop = try await AnalyticsShop(seed: 23)
        let columns = try shop.postgres.psql(
            shop.sourceURL,
            "SELECT table_name || ' ALTER ' || column_name FROM information_schema.columns "
                + "WHERE table_schema = 'public' AND data_type = 'timestamp with time zone'"
        ).split(separator: "\n")
        #expect(columns.count > 15)
        let changes = columns.map { column in
            "ALTER TABLE \(column) TYPE timestamp USING \(column.split(separator: " ")[2]) AT TIME ZONE 'UTC'"
        }
        try shop.postgres.psql(shop.sourceURL, changes.joined(separator: ";"))
        let name = try #require(shop.sourceURL.split(separator: "/").last)
        try shop.postgres.psql(shop.sourceURL, "ALTER DATABASE \"\(name)\" SET timezone = 'America/New_York'")
        for v1 in [true, false] {
            try shop.emptyWarehouse()
            for record in try await shop.run(shop.jobs(shop.settings(v1: v1)), AnalyticsShop.wholeRange) {
                #expect(record.state == .succeeded, "\(record.job): \(String(describing: record.error))")
            }
            let stored = try shop.stored()
            let expected = try shop.expected(v1: v1)
            #expect(stored == expected, "\(difference(stored, expected))")
        }
        await shop.close()
    }
}
