import Analytics
import Engine
import Foundation
import Runtime
import TestKit
import Testing

/// A source that reads as empty takes nothing away (INV-6); a day that is empty, and rows that vanished, still count.
@Suite(.serialized) struct EmptySourceTests {
    private static let tables = ["users", "orders", "payments", "notifications"]

    /// Puts an empty table in the place of each main table, as during a reload.
    private static func hide(_ shop: AnalyticsShop, _ suffix: String) throws {
        for table in tables.map({ $0 + suffix }) {
            try shop.postgres.psql(
                shop.sourceURL,
                "ALTER TABLE \(table) RENAME TO kept_\(table); CREATE TABLE \(table) (LIKE kept_\(table))"
            )
        }
    }

    private static func bringBack(_ shop: AnalyticsShop, _ suffix: String) throws {
        for table in tables.map({ $0 + suffix }) {
            try shop.postgres.psql(
                shop.sourceURL,
                "DROP TABLE \(table); ALTER TABLE kept_\(table) RENAME TO \(table)"
            )
        }
    }

    private static func marks(_ shop: AnalyticsShop) throws -> String {
        try shop.postgres.psql(
            shop.warehouseURL,
            "SELECT \"table\", scope, cursor_value FROM etl.watermarks ORDER BY 1, 2"
        )
    }

    @Test(arguments: [false, true])
    func anEmptySourceEmptiesNothing(v1: Bool) async throws {
        let shop = try await AnalyticsShop(seed: 34)
        let suffix = v1 ? "" : "_v2"
        let jobs = shop.jobs(shop.settings(v1: v1, legacy: v1))
        for record in try await shop.run(jobs, AnalyticsShop.wholeRange) { #expect(record.state == .succeeded) }
        let (stored, marks) = (try shop.stored(), try Self.marks(shop))
        try Self.hide(shop, suffix)
        for isDry in [true, false] {
            for (record, table) in zip(try await shop.run(jobs, { $0.dryRun = isDry }), Self.tables) {
                #expect(record.state == .failed, "\(record.job)")
                #expect(record.error?.kind == "change-implausible", "\(record.job): \(record.error?.summary ?? "")")
                let summary = record.error?.summary ?? ""
                #expect(summary.contains("\"\(table)\(suffix)\""), "\(summary)")
                #expect(record.error?.remedy != nil)
            }
            #expect(try shop.stored() == stored)
            #expect(try Self.marks(shop) == marks)
        }
        try Self.bringBack(shop, suffix)
        for record in try await shop.run(jobs) {
            #expect(record.state == .succeeded, "\(record.job): \(record.error?.summary ?? "")")
        }
        #expect(try shop.stored() == stored)
        await shop.close()
    }

    /// Days nobody has computed yet come first in a run that catches up: they are not taken for empty ones either.
    @Test func anEmptySourceIsNotCaughtUpWith() async throws {
        let shop = try await AnalyticsShop(seed: 35)
        let jobs = shop.jobs(shop.settings(v1: false))
        _ = try await shop.run(jobs) { ($0.startDate, $0.endDate) = (AnalyticsShop.first, "2026-03-28") }
        // So that the first days of the plan have no rows and the last one has.
        _ = try await shop.run(jobs) { $0.date = AnalyticsShop.last }
        for measure in AnalyticsShop.measures {
            try shop.postgres.psql(
                shop.warehouseURL,
                "DELETE FROM \(measure.table) WHERE \(measure.dayColumn) < '\(AnalyticsShop.last)'"
            )
        }
        let marks = try Self.marks(shop)
        try Self.hide(shop, "_v2")
        for record in try await shop.run(jobs) { #expect(record.error?.kind == "change-implausible", "\(record.job)") }
        #expect(try Self.marks(shop) == marks, "no day was marked as computed")
        await shop.close()
    }

    /// No order on a day, no payment by a method: that is news, and what vanished vanishes.
    @Test func aDayMayBeEmpty() async throws {
        let shop = try await AnalyticsShop(seed: 36)
        let jobs = shop.jobs(shop.settings(v1: false))
        _ = try await shop.run(jobs, AnalyticsShop.wholeRange)
        let day = "'2026-04-01 00:00+02' AND %c < '2026-04-02 00:00+02'"
        for (table, column) in [
            ("users", "created_at"), ("orders", "created_at"), ("payments", "created_at"), ("notifications", "sent_at"),
        ] {
            try shop.postgres.psql(
                shop.sourceURL,
                "DELETE FROM \(table)_v2 WHERE \(column) >= \(day.replacing("%c", with: column))"
            )
        }
        for record in try await shop.run(jobs) {
            #expect(record.state == .succeeded, "\(record.job): \(record.error?.summary ?? "")")
        }
        let stored = try shop.stored()
        let recent = try shop.expected(v1: false, first: "2026-03-30")
        #expect(recent.isSubset(of: stored), "\(difference(stored, recent))")
        for table in ["user_analytics", "order_analytics", "payment_analytics", "notification_analytics"] {
            #expect(!stored.contains { $0.hasPrefix("public.\(table)|2026-04-01|") }, "\(table)")
            #expect(stored.contains { $0.hasPrefix("public.\(table)|2026-04-02|") }, "\(table)")
        }
        await shop.close()
    }

    /// A shop without a row fills an empty warehouse with nothing, and days long gone stay as they are.
    @Test func anEmptyShopMayBeginEmpty() async throws {
        let shop = try await AnalyticsShop(seed: 37)
        let jobs = shop.jobs(shop.settings(v1: false))
        let old = try await shop.run(Array(jobs.dropFirst())) { $0.date = AnalyticsShop.first }
        #expect(old.allSatisfy { $0.state == .succeeded })
        let stored = try shop.stored()
        #expect(!stored.isEmpty)
        try Self.hide(shop, "_v2")
        for record in try await shop.run(jobs, { $0.daysBack = 3 }) {
            #expect(record.state == .succeeded, "\(record.job): \(record.error?.summary ?? "")")
        }
        #expect(try shop.stored().isSuperset(of: stored))
        await shop.close()
    }
}
