import Analytics
import Engine
import Foundation
import Postgres
import Runtime
import TestKit
import Testing

/// The statements that `tallyman doctor` prints are enough for every measure, and name only what is there.
@Suite(.serialized) struct GrantTests {
    /// A role of its own that may sign in and read nothing; the URL of the shop's source for it.
    private static func role(_ shop: AnalyticsShop) throws -> (name: String, url: String) {
        let name = TestTag.fresh("reader").replacing("-", with: "_")
        try shop.postgres.psql(shop.sourceURL, "CREATE ROLE \(name) LOGIN PASSWORD 'reader'")
        let rest = try #require(shop.sourceURL.split(separator: "@").last)
        return (name, "postgresql://\(name):reader@\(rest)")
    }

    private static func drop(_ role: String, _ shop: AnalyticsShop) throws {
        try shop.postgres.psql(shop.sourceURL, "DROP OWNED BY \(role); DROP ROLE \(role)")
    }

    @Test(arguments: [true, false])
    func aRoleWithTheGrantsAloneRunsEveryMeasure(v1: Bool) async throws {
        let shop = try await AnalyticsShop(seed: 83)
        let (role, url) = try Self.role(shop)
        let source = AnalyticsFeatureParts.sourcePool(Secret(url))
        let settings = shop.settings(v1: v1, legacy: v1)
        let refused = try await shop.run(shop.jobs(settings, source: source), AnalyticsShop.wholeRange)
        #expect(refused.allSatisfy { $0.state == .failed }, "without the grants nothing may be read")
        // The catalog is seen without any right on the tables.
        let catalog = try await source.withConnection { try await SourceCatalog.read($0) }
        for grant in catalog.grants(v1 ? .v1 : .v2, to: role) { try shop.postgres.psql(shop.sourceURL, grant) }
        for record in try await shop.run(shop.jobs(settings, source: source), AnalyticsShop.wholeRange) {
            #expect(record.state == .succeeded, "\(record.job): \(record.error?.summary ?? "")")
            #expect(record.summary?["counts"]?["measuresOff"] == .int(0))
        }
        let stored = try shop.stored()
        let expected = try shop.expected(v1: v1, legacy: v1)
        #expect(stored == expected, "\(difference(stored, expected))")
        let personal = v1 ? "SELECT email FROM users" : "SELECT country_code FROM users_v2"
        await #expect(throws: TallyError.self) { try await source.withConnection { try await $0.query(personal) } }
        for grant in catalog.grants(v1 ? .v2 : .v1, to: role) { try shop.postgres.psql(shop.sourceURL, grant) }
        let report = MigrationReport(settings: settings, source: source, now: AnalyticsShop.now)
        let compared = try #require(try await shop.run([report]).first)
        #expect(compared.state == .succeeded, "\(compared.error?.summary ?? "")")
        await source.close()
        try Self.drop(role, shop)
        await shop.close()
    }

    /// Row security without a policy for the role shows no row and no error: the warehouse keeps what it has.
    @Test func rowsThatAreHiddenAreNotGone() async throws {
        let shop = try await AnalyticsShop(seed: 85)
        let (role, url) = try Self.role(shop)
        let source = AnalyticsFeatureParts.sourcePool(Secret(url))
        let catalog = try await source.withConnection { try await SourceCatalog.read($0) }
        for grant in catalog.grants(.v2, to: role) { try shop.postgres.psql(shop.sourceURL, grant) }
        let jobs = shop.jobs(shop.settings(v1: false), source: source)
        _ = try await shop.run(jobs, AnalyticsShop.wholeRange)
        let stored = try shop.stored()
        #expect(stored.count > 700)
        for table in ["users_v2", "orders_v2", "payments_v2", "notifications_v2"] {
            try shop.postgres.psql(shop.sourceURL, "ALTER TABLE \(table) ENABLE ROW LEVEL SECURITY")
        }
        for record in try await shop.run(jobs) {
            #expect(record.error?.kind == "change-implausible", "\(record.job): \(record.error?.summary ?? "")")
        }
        #expect(try shop.stored() == stored)
        await source.close()
        try Self.drop(role, shop)
        await shop.close()
    }

    /// Columns and tables that may be absent are not named where they are.
    @Test func whatTheSourceLacksIsNotGranted() async throws {
        let shop = try await AnalyticsShop(seed: 84)
        try shop.postgres.psql(
            shop.sourceURL,
            """
            ALTER TABLE payments_v2 DROP failure_reason, DROP ip_country;
            ALTER TABLE notifications_v2 DROP bounced_at, ADD status text; DROP TABLE order_items_v2
            """
        )
        let (role, url) = try Self.role(shop)
        let source = AnalyticsFeatureParts.sourcePool(Secret(url))
        let catalog = try await source.withConnection { try await SourceCatalog.read($0) }
        let grants = catalog.grants(.v2, to: role)
        #expect(!grants.contains { $0.contains("order_items") || $0.contains("ip_country") })
        #expect(grants.contains { $0.contains("billing_country") } && grants.contains { $0.contains("failed_at") })
        for grant in grants { try shop.postgres.psql(shop.sourceURL, grant) }
        let jobs = shop.jobs(shop.settings(v1: false), source: source)
        for record in try await shop.run(jobs, AnalyticsShop.wholeRange) {
            #expect(record.state == .succeeded, "\(record.job): \(record.error?.summary ?? "")")
        }
        await source.close()
        try Self.drop(role, shop)
        await shop.close()
    }
}
