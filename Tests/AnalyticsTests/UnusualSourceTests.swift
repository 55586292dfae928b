import Analytics
import Engine
import Foundation
import Runtime
import TestKit
import Testing

/// Sources that differ from the generated shop in their types and values; the oracle calculates over them as they are.
@Suite(.serialized) struct UnusualSourceTests {
    private static let statements = [
        // The statuses of a shop without refunds, and of one whose payments neither succeed nor fail.
        "UPDATE orders SET status = 'pending' WHERE status NOT IN ('completed', 'pending')",
        "UPDATE payments SET status = 'pending' WHERE status IS NOT NULL",
        "CREATE TYPE order_state AS ENUM ('completed', 'pending')",
        "CREATE TYPE payment_state AS ENUM ('pending')",
        "ALTER TABLE orders ALTER status TYPE order_state USING status::order_state",
        "ALTER TABLE payments ALTER status TYPE payment_state USING status::payment_state",
    ]

    private static func check(_ shop: AnalyticsShop, v1: Bool, legacy: Bool = false) async throws {
        for record in try await shop.run(shop.jobs(shop.settings(v1: v1, legacy: legacy)), AnalyticsShop.wholeRange) {
            #expect(record.state == .succeeded, "\(record.job): \(record.error?.summary ?? "")")
        }
        let stored = try shop.stored()
        let expected = try shop.expected(v1: v1, legacy: legacy)
        #expect(stored == expected, "\(difference(stored, expected))")
        #expect(expected.count > 700, "the oracle has something to say")
    }

    /// A status may be of an enum type that lacks the values a measure asks for.
    @Test(arguments: [false, true])
    func aStatusMayBeAnEnum(v1: Bool) async throws {
        let shop = try await AnalyticsShop(seed: 31)
        let sql = Self.statements.joined(separator: ";")
        try shop.postgres.psql(
            shop.sourceURL,
            v1 ? sql : sql.replacing("orders ", with: "orders_v2 ").replacing("payments ", with: "payments_v2 ")
        )
        try await Self.check(shop, v1: v1)
        await shop.close()
    }

    /// "Never" may be written as a last activity of minus infinity, "for ever" as one of infinity: neither is a date.
    @Test(arguments: [(false, false), (true, false), (true, true)])
    func anInfiniteLastActivityIsNone(v1: Bool, legacy: Bool) async throws {
        let shop = try await AnalyticsShop(seed: 32)
        let (table, column, key) =
            v1 ? ("users", "last_login_at", "id") : ("users_v2", "last_activity_at", "user_token")
        try shop.postgres.psql(
            shop.sourceURL,
            """
            UPDATE \(table) SET \(column) = CASE WHEN place % 2 = 0 THEN 'infinity' ELSE '-infinity' END::timestamptz
            FROM (SELECT \(key) AS who, row_number() OVER (ORDER BY \(key)) AS place FROM \(table)) AS numbered
            WHERE who = \(key) AND place <= 160
            """
        )
        try await Self.check(shop, v1: v1, legacy: legacy)
        let infinite = "SELECT count(*) FROM public.user_activity WHERE NOT isfinite(last_activity_date)"
        #expect(try shop.postgres.psql(shop.warehouseURL, infinite) == "0\n")
        await shop.close()
    }

    /// What the server says of a query names no table: the error names the measure and the day.
    @Test func anErrorOfAMeasureNamesIt() async throws {
        let shop = try await AnalyticsShop(seed: 33)
        try shop.postgres.psql(
            shop.sourceURL,
            """
            ALTER TABLE orders_v2 ALTER total_amount TYPE text;
            UPDATE orders_v2 SET total_amount = 'much' WHERE status = 'refunded'
            """
        )
        let job = try shop.job("order_analytics", shop.settings(v1: false))
        let record = try #require(try await shop.run([job]) { $0.date = AnalyticsShop.last }.first)
        #expect(record.state == .failed)
        #expect(record.error?.kind == "record-malformed")
        let summary = try #require(record.error?.summary)
        #expect(summary.contains(" of \(AnalyticsShop.last): PostgreSQL answered SQLSTATE 22P02"), "\(summary)")
        #expect(Measure.ofOrders.contains { summary.hasPrefix("\($0.name) of ") }, "\(summary)")
        let report = MigrationReport(settings: shop.settings(v1: false), source: shop.source, now: AnalyticsShop.now)
        let compared = try #require(try await shop.run([report]) { $0.date = AnalyticsShop.last }.first)
        let told = try #require(compared.error?.summary)
        #expect(Measure.ofOrders.contains { told.hasPrefix("\($0.name) of \(AnalyticsShop.last): ") }, "\(told)")
        await shop.close()
    }
}
