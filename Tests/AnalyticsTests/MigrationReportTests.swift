import Analytics
import Engine
import Foundation
import Runtime
import TestKit
import Testing

/// The report that says whether v2 gives what v1 gave.
@Suite(.serialized) struct MigrationReportTests {
    private static func report(_ shop: AnalyticsShop) async throws -> RunRecord {
        let job = MigrationReport(settings: shop.settings(v1: true), source: shop.source, now: AnalyticsShop.now)
        return try #require(try await shop.run([job], AnalyticsShop.wholeRange).first)
    }

    @Test func equalSchemasHaveNoDifference() async throws {
        let shop = try await AnalyticsShop(seed: 71)
        let record = try await Self.report(shop)
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        let counts = record.summary?["counts"]
        #expect(counts?["differences"] == .int(0))
        #expect(counts?["measuresCompared"] == .int(Measure.all.count))
        #expect((counts?["rowsV1"]?.int ?? 0) > 700 && counts?["rowsV1"] == counts?["rowsV2"])
        #expect(try shop.stored().isEmpty, "a report writes nothing")
        await shop.close()
    }

    @Test func differencesAreListedWithTableDayKeyAndColumn() async throws {
        let shop = try await AnalyticsShop(seed: 72)
        try shop.postgres.psql(
            shop.sourceURL,
            """
            UPDATE orders_v2 SET total_amount = total_amount + 1
                WHERE id = (SELECT min(id) FROM orders_v2 WHERE status = 'completed' AND total_amount IS NOT NULL
                    AND created_at BETWEEN '2026-03-26 12:00' AND '2026-03-26 20:00');
            DELETE FROM users_v2 WHERE user_token = (SELECT min(user_token) FROM users_v2
                WHERE created_at < '2026-03-01')
            """
        )
        let record = try await Self.report(shop)
        #expect(record.state == .succeeded)
        let listed = try #require(record.summary?["details"]?["differences"]?.array)
        #expect(record.summary?["counts"]?["differences"] == .int(listed.count))
        let revenue = listed.first { $0["table"] == .string("public.order_analytics") }
        #expect(revenue?["day"] == .string("2026-03-26") && revenue?["key"] == .string("2026-03-26, completed"))
        #expect(revenue?["column"] == .string("total_revenue"))
        let (v1, v2) = (Decimal(string: revenue?["v1"]?.string ?? ""), Decimal(string: revenue?["v2"]?.string ?? ""))
        #expect(try #require(v2) - #require(v1) == 1)
        let person = listed.filter { $0["table"] == .string("public.user_activity") }
        #expect(person.count == 1 && person.first?["v1"] == .string("row") && person.first?["v2"] == .string("no row"))
        #expect(person.first?["key"]?.string?.hasPrefix("sha256:") == true)
        #expect(!listed.contains { "\($0)".contains("usr_1_") }, "the ledger keeps no token")
        await shop.close()
    }

    @Test func aMissingSideIsAClearError() async throws {
        let shop = try await AnalyticsShop(seed: 73)
        try shop.postgres.psql(shop.sourceURL, "DROP TABLE notifications_v2")
        let record = try await Self.report(shop)
        #expect(record.state == .failed)
        #expect(record.error?.summary.contains("notifications_v2") == true)
        await shop.close()
    }
}
