import Analytics
import Engine
import Foundation
import Runtime
import TestKit
import Testing

/// Flags against the tables that are there.
@Suite struct SourceCatalogTests {
    private static let full: [String: Set<String>] = Dictionary(
        uniqueKeysWithValues: SourceSchema.allCases.flatMap { schema in
            SourceTable.allCases.map { ($0.name(in: schema), $0.columnsRead(in: schema)) }
        }
    )

    private static func settings(v1: Bool, legacy: Bool) -> AnalyticsSettings {
        AnalyticsSettings(
            zone: .gmt,
            lookbackDays: 3,
            churnDays: 30,
            readsV1: v1,
            isLegacy: legacy,
            key: TokenKey(version: 1, secret: Secret("k"))
        )
    }

    @Test func everyMeasureIsOnWhereEveryColumnIs() throws {
        for schema in SourceSchema.allCases {
            for area in AnalyticsJob.areas {
                let split = try SourceCatalog(columns: Self.full).split(area.measures, main: area.main, schema: schema)
                #expect(split.off.isEmpty && split.on.count == area.measures.count)
            }
        }
    }

    @Test func noColumnWithPersonalDataIsRead() {
        for table in SourceTable.allCases {
            for schema in SourceSchema.allCases {
                let read = table.columnsRead(in: schema)
                for word in ["email", "name", "phone", "holder", "address", "recipient", "body", "card"] {
                    #expect(!read.contains { $0 == word || $0.hasSuffix("_\(word)") }, "\(table) \(schema): \(word)")
                }
            }
        }
    }

    @Test func aSchemaThatIsNotThereIsNamed() {
        let v2 = SourceCatalog(columns: Self.full.filter { $0.key.hasSuffix("_v2") })
        let error = #expect(throws: TallyError.self) {
            try v2.split(Measure.ofOrders, main: .orders, schema: .v1)
        }
        #expect(error?.kind == .settingsInvalid)
        #expect(error?.summary == "ENABLE_V1_SCHEMA is true, but the source has no table \"orders\"")
    }

    @Test func theLegacyFlagNeedsTheOldTables() throws {
        let both = SourceCatalog(columns: Self.full)
        let v2 = SourceCatalog(columns: Self.full.filter { $0.key.hasSuffix("_v2") })
        #expect(try both.legacy(Self.settings(v1: true, legacy: true)) == (true, false))
        #expect(try both.legacy(Self.settings(v1: false, legacy: true)) == (false, true), "ignored, with a warning")
        #expect(try both.legacy(Self.settings(v1: false, legacy: false)) == (false, false))
        #expect(throws: TallyError.self) { try v2.legacy(Self.settings(v1: false, legacy: true)) }
    }

    @Test func aBrokenMainTableIsNoMeasureThatIsOff() {
        var columns = Self.full
        columns["payments"]?.remove("amount")
        let error = #expect(throws: TallyError.self) {
            try SourceCatalog(columns: columns).split(Measure.ofPayments, main: .payments, schema: .v1)
        }
        #expect(error?.kind == .schemaMismatch && error?.summary.contains("amount") == true)
    }

    @Test func whatTheSourceLacksIsOffWithItsReason() throws {
        var columns = Self.full
        columns["payments"]?.subtract(["failure_reason", "user_id"])
        columns["orders"] = nil
        let catalog = SourceCatalog(columns: columns)
        let payments = try catalog.split(Measure.ofPayments, main: .payments, schema: .v1)
        #expect(payments.on.map(\.name) == ["payment_methods", "fraud_daily"])
        #expect(payments.off.map(\.measure) == ["payment_failures", "fraud_signals"])
        #expect(payments.off.first?.reason == "payments has no failure_reason")
        let users = try catalog.split(Measure.ofUsers, main: .users, schema: .v1)
        #expect(users.off.map(\.measure) == ["daily_activity", "cohort_retention", "signup_funnel"])
        #expect(users.off.first?.reason == "the source has no table orders")
    }

    /// The same on a real source: the run succeeds, and its summary and its log say what is off.
    @Test func aRunSaysWhatIsOff() async throws {
        let shop = try await AnalyticsShop(seed: 81)
        try shop.postgres.psql(
            shop.sourceURL,
            """
            ALTER TABLE payments_v2 DROP failure_reason, DROP user_token, DROP ip_country;
            ALTER TABLE notifications_v2 DROP bounced_at
            """
        )
        let logs = LogCollector()
        let records = try await shop.run(
            shop.jobs(shop.settings(v1: false)),
            logger: logs.logger,
            AnalyticsShop.wholeRange
        )
        #expect(records.allSatisfy { $0.state == .succeeded }, "\(records.map { String(describing: $0.error) })")
        let payment = try #require(records.first { $0.job == "payment_analytics" })
        #expect(payment.summary?["counts"]?["measuresOff"] == .int(2))
        #expect(logs.all.filter { $0.contains("measures are off") }.count == 1)
        let unknown = try shop.postgres.psql(
            shop.warehouseURL,
            "SELECT (SELECT count(*) FROM analytics.fraud_daily WHERE country_mismatches IS NOT NULL), "
                + "(SELECT count(*) FROM notification_analytics WHERE bounced IS NOT NULL), "
                + "(SELECT count(*) FROM notification_analytics WHERE failed IS NULL)"
        )
        #expect(unknown == "0|0|0\n")
        await shop.close()
    }

    /// The contract's v1 users have no date of registration: what needs one is off, the state of each user is not.
    @Test func theOldColumnsAloneAreEnough() async throws {
        let shop = try await AnalyticsShop(seed: 82)
        try shop.postgres.psql(shop.sourceURL, "ALTER TABLE users DROP created_at")
        let records = try await shop.run(
            shop.jobs(shop.settings(v1: true, legacy: true)),
            AnalyticsShop.wholeRange
        )
        #expect(records.allSatisfy { $0.state == .succeeded }, "\(records.map { String(describing: $0.error) })")
        let off = try #require(records.first { $0.job == "user_analytics" }?.summary?["counts"]?["measuresOff"])
        #expect(off == .int(Measure.ofUsers.count - 1))
        let state = try shop.postgres.psql(
            shop.warehouseURL,
            "SELECT count(*), count(signup_date), count(user_id), count(*) FILTER (WHERE is_churned) > 0 "
                + "FROM user_activity"
        )
        #expect(state == "400|0|400|t\n")
        await shop.close()
    }
}
