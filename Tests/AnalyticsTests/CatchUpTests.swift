import Analytics
import Engine
import Foundation
import Runtime
import TestKit
import Testing

/// After a pause every day is computed, whatever was asked for out of turn meanwhile, and none while it is under way.
@Suite(.serialized) struct CatchUpTests {
    private static func orders(_ shop: AnalyticsShop, now: Date? = nil) throws -> any Job {
        let now = now ?? shop.season.now
        let jobs = AnalyticsJob.all(
            settings: shop.settings(v1: false),
            source: shop.source,
            warehouse: shop.warehouse,
            now: { now }
        )
        return try #require(jobs.first { $0.name == "order_analytics" })
    }

    private static func lines(_ all: Set<String>) -> Set<String> {
        let tables = Measure.ofOrders.map { "\($0.table)|" }
        return all.filter { line in tables.contains { line.hasPrefix($0) } }
    }

    private static func scopes(_ shop: AnalyticsShop) throws -> Set<String> {
        let rows = try shop.postgres.psql(shop.warehouseURL, "SELECT scope, cursor_value FROM etl.watermarks")
        return Set(rows.split(separator: "\n").map { String($0.prefix { $0 != "|" }) })
    }

    @Test func aSingleDayHidesNoGap() async throws {
        let shop = try await AnalyticsShop(seed: 38)
        let job = try Self.orders(shop)
        for day in [AnalyticsShop.first, AnalyticsShop.last] {
            let record = try await shop.run([job]) { $0.date = day }
            #expect(record.first?.state == .succeeded)
        }
        let run = try #require(try await shop.run([job]).first)
        #expect(run.state == .succeeded, "\(run.error?.summary ?? "")")
        let stored = Self.lines(try shop.stored())
        let expected = Self.lines(try shop.expected(v1: false))
        #expect(stored == expected, "\(difference(stored, expected))")
        #expect(expected.count > 100)
        // Nothing is left to catch up with.
        let usual = try #require(try await shop.run([job]).first)
        #expect(usual.summary?["counts"]?["days"] == .int(4))
        await shop.close()
    }

    /// At noon a day has half its orders: it is written, but only its end makes it one that is done.
    @Test func todayIsNotDone() async throws {
        let shop = try await AnalyticsShop(seed: 39)
        let job = try Self.orders(shop)
        _ = try await shop.run([job], AnalyticsShop.wholeRange)
        let insert = "INSERT INTO orders_v2 (id, created_at, status, total_amount) VALUES"
        try shop.postgres.psql(shop.sourceURL, "\(insert) (9001, '2026-04-03 08:00+02', 'completed', 10)")
        let noon = try #require(try await shop.run([job]) { $0.date = "2026-04-03" }.first)
        #expect(noon.state == .succeeded, "\(noon.error?.summary ?? "")")
        let revenue = "SELECT sum(total_revenue) FROM order_analytics WHERE order_date = '2026-04-03'"
        #expect(try shop.postgres.psql(shop.warehouseURL, revenue) == "10.00\n", "what is there is written")
        #expect(try !Self.scopes(shop).contains("2026-04-03"))
        let newest = "SELECT cursor_value FROM etl.watermarks WHERE scope = ''"
        #expect(try shop.postgres.psql(shop.warehouseURL, newest) == "\(AnalyticsShop.last)\n")
        let again = try #require(try await shop.run([job]) { $0.date = "2026-04-03" }.first)
        #expect(again.summary?["counts"]?["recordsLoaded"] == .int(0), "a repeat writes nothing")
        // The daemon is down for five days. An order of the afternoon, and a late one of the lookback before the stop.
        try shop.postgres.psql(
            shop.sourceURL,
            "\(insert) (9002, '2026-04-03 18:00+02', 'completed', 5), (9003, '2026-03-30 18:00+02', 'completed', 5)"
        )
        let later = try Self.orders(shop, now: shop.season.now.addingTimeInterval(5 * 86_400))
        let run = try #require(try await shop.run([later]).first)
        #expect(run.state == .succeeded, "\(run.error?.summary ?? "")")
        let stored = Self.lines(try shop.stored())
        let expected = Self.lines(try shop.expected(v1: false, last: "2026-04-07"))
        #expect(stored == expected, "\(difference(stored, expected))")
        await shop.close()
    }

    /// A backfill up to now has the day under way in its last window.
    @Test func aBackfillUpToNowLeavesTodayOpen() async throws {
        let shop = try await AnalyticsShop(seed: 40)
        let job = try Self.orders(shop)
        let record = try #require(
            try await shop.run([job]) {
                ($0.backfill, $0.startDate, $0.endDate, $0.batchDays) = (true, "2026-03-31", "2026-04-03", 2)
            }.first
        )
        #expect(record.state == .succeeded, "\(record.error?.summary ?? "")")
        let scopes = try Self.scopes(shop)
        #expect(scopes.isSuperset(of: ["2026-03-31", "2026-04-01", "2026-04-02", "window/2026-04-02/2026-04-03"]))
        #expect(!scopes.contains("2026-04-03"))
        await shop.close()
    }
}
