import Analytics
import Engine
import Foundation
import Runtime
import TestKit
import Testing

/// A new key takes over every row, and nobody who was erased comes back.
@Suite(.serialized) struct KeyRotationTests {
    private static let next = (2, "the key after the rotation, long enough")

    private static func rotation(_ shop: AnalyticsShop, _ settings: AnalyticsSettings) -> KeyRotation {
        KeyRotation(settings: settings, source: shop.source, warehouse: shop.warehouse)
    }

    private static func tokens(_ shop: AnalyticsShop, _ pattern: String) throws -> String {
        try shop.postgres.psql(
            shop.warehouseURL,
            "SELECT (SELECT count(*) FROM user_activity WHERE user_token LIKE '\(pattern)'), "
                + "(SELECT count(*) FROM analytics.fraud_signals WHERE user_token LIKE '\(pattern)')"
        )
    }

    @Test func everyRowGetsTheTokenOfTheNewKey() async throws {
        let shop = try await AnalyticsShop(seed: 61)
        let before = shop.settings(v1: true, legacy: true)
        let after = shop.settings(v1: true, legacy: true, keys: Self.next, previous: (1, AnalyticsShop.key))
        _ = try await shop.run(shop.jobs(before), AnalyticsShop.wholeRange)
        let erased = try shop.postgres.psql(
            shop.warehouseURL,
            "SELECT min(f.user_token) FROM analytics.fraud_signals f JOIN user_activity USING (user_token)"
        ).trimmingCharacters(in: .newlines)
        let account = try PersonErasure.account(ofToken: erased)
        let forgotten = try await shop.run([PersonErasure(warehouse: shop.warehouse)]) { $0.account = account }
        #expect((forgotten.first?.summary?["counts"]?["rowsRemoved"]?.int ?? 0) >= 2)
        let rows = try Self.tokens(shop, "usr_1_%")
        let rotated = try #require(try await shop.run([Self.rotation(shop, after)]).first)
        #expect(rotated.state == .succeeded, "\(String(describing: rotated.error))")
        #expect(try Self.tokens(shop, "usr_1_%") == "0|0\n", "no row is left behind")
        #expect(try Self.tokens(shop, "usr_2_%") == rows)
        let mapped = try shop.stored()
        #expect(!mapped.contains { $0.contains("usr_1_") })
        // A clean pass with the new key alone gives the same rows, without the person who was erased before.
        try shop.emptyWarehouse()
        _ = try await shop.run(
            shop.jobs(shop.settings(v1: true, legacy: true, keys: Self.next)),
            AnalyticsShop.wholeRange
        )
        let fresh = try shop.stored()
        #expect(mapped == fresh, "\(difference(mapped, fresh))")
        #expect(try shop.postgres.psql(shop.warehouseURL, "SELECT count(*) FROM analytics.erasures") == "2\n")
        // Once more is harmless.
        let again = try await shop.run([Self.rotation(shop, after)])
        #expect(again.first?.summary?["counts"]?["rowsRotated"] == .int(0))
        #expect(again.first?.summary?["counts"]?["rowsRemoved"] == .int(0))
        #expect(try shop.stored() == fresh)
        await shop.close()
    }

    /// Between the change of the key and the rotation a run must not bring an erased person back.
    @Test func anErasedPersonStaysAwayUnderTheNewKey() async throws {
        let shop = try await AnalyticsShop(seed: 62)
        _ = try await shop.run(shop.jobs(shop.settings(v1: true)), AnalyticsShop.wholeRange)
        let count = "SELECT count(*) FROM user_activity"
        let users = try shop.postgres.psql(shop.warehouseURL, count)
        let erased = try shop.postgres.psql(shop.warehouseURL, "SELECT min(user_token) FROM user_activity")
            .trimmingCharacters(in: .newlines)
        let account = try PersonErasure.account(ofToken: erased)
        _ = try await shop.run([PersonErasure(warehouse: shop.warehouse)]) { $0.account = account }
        let one = try shop.postgres.psql(shop.warehouseURL, count)
        #expect(one != users)
        // The same key first: a repeat does not bring the person back.
        _ = try await shop.run(shop.jobs(shop.settings(v1: true)), AnalyticsShop.wholeRange)
        #expect(try shop.postgres.psql(shop.warehouseURL, count) == one)
        let after = shop.settings(v1: true, keys: Self.next, previous: (1, AnalyticsShop.key))
        _ = try await shop.run(shop.jobs(after), AnalyticsShop.wholeRange)
        #expect(try shop.postgres.psql(shop.warehouseURL, count) == one)
        await shop.close()
    }

    @Test func aDoubtfulRotationChangesNothing() async throws {
        let shop = try await AnalyticsShop(seed: 63)
        _ = try await shop.run(shop.jobs(shop.settings(v1: true)), AnalyticsShop.wholeRange)
        let stored = try shop.stored()
        // Without the previous key, with a wrong one, and with a source that lost its users.
        let none = try await shop.run([Self.rotation(shop, shop.settings(v1: true, keys: Self.next))])
        #expect(none.first?.error?.kind == "settings-invalid")
        let wrong = shop.settings(v1: true, keys: Self.next, previous: (1, "no key that was ever used, but long"))
        #expect(try await shop.run([Self.rotation(shop, wrong)]).first?.error?.kind == "change-implausible")
        try shop.postgres.psql(shop.sourceURL, "DELETE FROM users WHERE id % 2 = 0; DELETE FROM payments")
        let right = shop.settings(v1: true, keys: Self.next, previous: (1, AnalyticsShop.key))
        #expect(try await shop.run([Self.rotation(shop, right)]).first?.error?.kind == "change-implausible")
        #expect(try shop.stored() == stored)
        await shop.close()
    }

    /// Tokens of the source are its own: they stay, and who is gone from the source goes.
    @Test func tokensOfTheSourceStay() async throws {
        let shop = try await AnalyticsShop(seed: 64)
        _ = try await shop.run(shop.jobs(shop.settings(v1: false)), AnalyticsShop.wholeRange)
        let rows = try Self.tokens(shop, "usr_1_%")
        let after = shop.settings(v1: false, keys: Self.next, previous: (1, AnalyticsShop.key))
        let record = try #require(try await shop.run([Self.rotation(shop, after)]).first)
        #expect(record.state == .succeeded)
        #expect(record.summary?["counts"]?["rowsRotated"] == .int(0))
        #expect(try Self.tokens(shop, "usr_1_%") == rows)
        await shop.close()
    }
}
