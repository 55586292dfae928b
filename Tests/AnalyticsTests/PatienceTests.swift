import Analytics
import Engine
import Foundation
import Runtime
import TestKit
import Testing

/// A statement that is silent for longer than STALL_TIMEOUT is no stall; its own limit ends it.
@Suite(.serialized) struct PatienceTests {
    private static let watched = RunSettings(stallTimeout: .milliseconds(500))

    /// Statements of that kind on a table of the warehouse take longer than a stall may.
    private static func slow(_ shop: AnalyticsShop, _ statement: String, _ table: String) throws {
        try shop.postgres.psql(
            shop.warehouseURL,
            """
            CREATE OR REPLACE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(2.5); RETURN NULL; END $$;
            CREATE TRIGGER be_slow BEFORE \(statement) ON \(table) FOR EACH STATEMENT EXECUTE FUNCTION be_slow()
            """
        )
    }

    /// The source's aggregate says nothing before its first row.
    private static func slowSource(_ shop: AnalyticsShop) throws {
        try shop.postgres.psql(
            shop.sourceURL,
            """
            ALTER TABLE notifications_v2 RENAME TO sent;
            CREATE VIEW notifications_v2 AS SELECT sent.* FROM sent, (SELECT pg_sleep(2.5) OFFSET 0) AS slow
            """
        )
    }

    @Test func silentStatementsAreNoStall() async throws {
        let shop = try await AnalyticsShop(seed: 71)
        try Self.slowSource(shop)
        try Self.slow(shop, "INSERT", "channel_analytics")
        let settings = shop.settings(v1: false)
        let job = try shop.job("notification_analytics", settings)
        let record = try #require(
            try await shop.run([job], settings: Self.watched) { $0.date = AnalyticsShop.last }.first
        )
        #expect(record.state == .succeeded, "\(record.error?.summary ?? "")")
        let rows = try shop.postgres.psql(shop.warehouseURL, "SELECT count(*) > 0 FROM channel_analytics")
        #expect(rows == "t\n")
        await shop.close()
    }

    @Test func erasuresAndRotationsAreNoStall() async throws {
        let shop = try await AnalyticsShop(seed: 72)
        _ = try await shop.run([try shop.job("user_analytics", shop.settings(v1: true))]) {
            $0.date = AnalyticsShop.last
        }
        try Self.slow(shop, "DELETE OR UPDATE", "user_activity")
        let token = try shop.postgres.psql(shop.warehouseURL, "SELECT min(user_token) FROM user_activity")
            .trimmingCharacters(in: .newlines)
        let account = try PersonErasure.account(ofToken: token)
        let erasure = PersonErasure(warehouse: shop.warehouse)
        let erased = try #require(try await shop.run([erasure], settings: Self.watched) { $0.account = account }.first)
        #expect(erased.state == .succeeded, "\(erased.error?.summary ?? "")")
        let next = shop.settings(
            v1: true,
            keys: (2, "the key after the rotation, long enough"),
            previous: (1, AnalyticsShop.key)
        )
        let rotation = KeyRotation(settings: next, source: shop.source, warehouse: shop.warehouse)
        let rotated = try #require(try await shop.run([rotation], settings: Self.watched).first)
        #expect(rotated.state == .succeeded, "\(rotated.error?.summary ?? "")")
        await shop.close()
    }

    /// What the watchdog leaves to the server, the server ends.
    @Test func aStatementHasALimitOfItsOwn() async throws {
        let shop = try await AnalyticsShop(seed: 73)
        try Self.slowSource(shop)
        let settings = shop.settings(v1: false, statementTimeout: .milliseconds(200))
        let job = try shop.job("notification_analytics", settings)
        let once = RunSettings(stallTimeout: nil, backoff: Backoff(attemptsMax: 1))
        let record = try #require(try await shop.run([job], settings: once) { $0.date = AnalyticsShop.last }.first)
        #expect(record.state == .failed)
        #expect(record.error?.summary.contains("statement_timeout") == true, "\(record.error?.summary ?? "")")
        await shop.close()
    }
}
