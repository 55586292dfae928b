import Analytics
import Engine
import Foundation
import Runtime
import TestKit
import Testing

/// The warehouse, the ledger and the logs hold no e-mail, name, phone, card or address.
@Suite(.serialized) struct PersonalDataTests {
    /// What the generator planted in the source, each in another column; none may be found anywhere else.
    private static var planted: Regex<Substring> {
        #/(?i)planted|example\.org|\+49 ?151|4111 ?1111|jane|555 ?010|dear |john doe|main street/#
    }

    /// Every row of every table of the warehouse, the engine's included, as text.
    private static func dump(_ shop: AnalyticsShop) throws -> String {
        let tables = try shop.postgres.psql(
            shop.warehouseURL,
            "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text "
                + "IN ('public', 'analytics', 'etl') ORDER BY 1"
        ).split(separator: "\n")
        #expect(tables.count > 20)
        let queries = tables.map { "SELECT '\($0)', t::text FROM \($0) t" }
        return try shop.postgres.psql(shop.warehouseURL, queries.joined(separator: ";"))
    }

    @Test(arguments: [(true, true), (false, false)])
    func plantedDataAreFoundNowhere(v1: Bool, legacy: Bool) async throws {
        let shop = try await AnalyticsShop(seed: 51)
        let logs = LogCollector()
        let settings = shop.settings(v1: v1, legacy: legacy)
        for record in try await shop.run(shop.jobs(settings), logger: logs.logger, AnalyticsShop.wholeRange) {
            #expect(record.state == .succeeded)
        }
        let scan = PersonalDataScan(settings: settings, warehouse: shop.warehouse)
        let report = MigrationReport(settings: settings, source: shop.source, now: AnalyticsShop.now)
        let forget = PersonErasure(warehouse: shop.warehouse)
        for record in try await shop.run([scan, report], logger: logs.logger) { #expect(record.state == .succeeded) }
        let token = try shop.postgres.psql(shop.warehouseURL, "SELECT min(user_token) FROM user_activity")
            .trimmingCharacters(in: .newlines)
        let account = try PersonErasure.account(ofToken: token)
        let forgotten = try await shop.run([forget], logger: logs.logger) { $0.account = account }
        #expect(forgotten.first?.state == .succeeded)
        // A value of the source that makes a query fail must not show in the error either.
        try shop.postgres.psql(
            shop.sourceURL,
            """
            ALTER TABLE payments ALTER amount TYPE text; ALTER TABLE payments_v2 ALTER amount TYPE text;
            UPDATE payments SET amount = 'planted.9@example.org'; UPDATE payments_v2 SET amount = 'Planted Person9'
            """
        )
        let failed = try await shop.run(
            [try shop.job("payment_analytics", settings)],
            logger: logs.logger,
            AnalyticsShop.wholeRange
        )
        #expect(failed.first?.state == .failed)
        #expect(failed.first?.error?.summary.contains("22P02") == true, "\(String(describing: failed.first?.error))")
        let everything = try Self.dump(shop) + logs.text
        #expect(everything.contains("user_analytics") && everything.contains("usr_1_") && !logs.all.isEmpty)
        let found = everything.matches(of: Self.planted).prefix(5).map { match in
            String(everything[match.range.lowerBound...].prefix(60))
        }
        #expect(found.isEmpty, "\(found)")
        #expect(!everything.contains(token), "an erased person's token is nowhere")
        await shop.close()
    }

    /// The same search finds what was planted in the source: it could have failed.
    @Test func theSearchFindsWhatWasPlanted() async throws {
        let shop = try await AnalyticsShop(seed: 51)
        for (table, column) in [
            ("users", "email"), ("users", "name"), ("users", "phone"), ("orders", "shipping_address"),
            ("payments", "card_holder"), ("notifications", "body"),
        ] {
            let text = try shop.postgres.psql(
                shop.sourceURL,
                "SELECT \(column) FROM \(table) WHERE \(column) IS NOT NULL LIMIT 1"
            )
            #expect(text.contains(Self.planted), "\(table).\(column)")
        }
        await shop.close()
    }

    /// One line a run that the old tables are deprecated, however many rows and days it has.
    @Test func aLegacyRunIsDeprecatedOnce() async throws {
        let shop = try await AnalyticsShop(seed: 52)
        let logs = LogCollector()
        let settings = shop.settings(v1: true, legacy: true)
        _ = try await shop.run(
            [try shop.job("user_analytics", settings)],
            logger: logs.logger,
            AnalyticsShop.wholeRange
        )
        #expect(logs.all.filter { $0.contains("deprecated") }.count == 1, "\(logs.text)")
        let ignored = LogCollector()
        _ = try await shop.run(
            [try shop.job("user_analytics", shop.settings(v1: false, legacy: true))],
            logger: ignored.logger,
            AnalyticsShop.wholeRange
        )
        #expect(ignored.all.filter { $0.contains("ENABLE_LEGACY_ETL is ignored") }.count == 1)
        #expect(ignored.all.filter { $0.contains("deprecated") }.isEmpty)
        await shop.close()
    }

    @Test func theScanFindsEachKindInEveryKindOfColumn() async throws {
        let shop = try await AnalyticsShop()
        let scan = PersonalDataScan(settings: shop.settings(v1: false), warehouse: shop.warehouse)
        let clean = try await shop.run([scan])
        #expect(clean.first?.state == .succeeded, "\(String(describing: clean.first?.error))")
        let cases = [
            ("text", "'write to jo.doe+x@mail.example.org!'", "email"), ("varchar(80)", "'+1 (555) 010-9999'", "phone"),
            ("jsonb", "'{\"a\": {\"b\": \"4111 1111 1111 1111\"}}'", "card"),
            ("text[]", "ARRAY['x', 'DE89 3704 0044 0532 0130 00']", "iban"), ("text", "'5500-0000-0000-0004'", "card"),
            ("text", "'GB82WEST12345698765432'", "iban"), ("text", "'0171 2345678'", "phone"),
            ("text", "'call 01712345678 now'", "phone"), ("text", "'015112345678'", "phone"),
            ("text", "'0033612345678'", "phone"), ("text", "'2223003122003222'", "card"),
            ("text", "'2720992593319364'", "card"), ("text", "'378282246310005'", "card"),
            ("text", "'30569309025904'", "card"), ("text", "'6011000990139424'", "card"),
            ("text", "'paid with 4111 1111 1111 1111 12/27'", "card"), ("text", "'no. 77 4222 2222 2222 2'", "card"),
        ]
        for (type, value, kind) in cases {
            try shop.postgres.psql(
                shop.warehouseURL,
                "CREATE TABLE analytics.suspect (note \(type)); INSERT INTO analytics.suspect VALUES (\(value))"
            )
            let logs = LogCollector()
            let record = try #require(try await shop.run([scan], logger: logs.logger).first)
            #expect(record.state == .failed, "\(value)")
            let summary = record.error?.summary ?? ""
            #expect(summary.contains("analytics.suspect.note (\(kind), 1)"), "\(value): \(summary)")
            for text in [summary, logs.text] {
                // Long enough that no run's id has them by chance.
                for part in ["example.org", "1111 1111", "11111111", "3704 0044", "37040044"] {
                    #expect(!text.contains(part), "\(part)")
                }
            }
            try shop.postgres.psql(shop.warehouseURL, "DROP TABLE analytics.suspect")
        }
        await shop.close()
    }

    /// Numbers that only look like personal data: wrong check digits, tokens, hashes, identifiers, instants.
    @Test func theScanTakesNothingElseForPersonalData() async throws {
        let shop = try await AnalyticsShop()
        try shop.postgres.psql(
            shop.warehouseURL,
            """
            CREATE TABLE analytics.plain (note text);
            INSERT INTO analytics.plain VALUES ('4111 1111 1111 1112'), ('usr_1_' || repeat('4', 64)),
                ('2026-03-24T10:00:00.123456Z'), ('DE00 3704 0044 0532 0130 00'), ('123'), ('a@b'), ('66f0aa11bb22'),
                (gen_random_uuid()::text), (encode(sha256('x'), 'hex')), ('1774310400000'), ('order 12345678'),
                ('4006381333931'), ('4012345678901'), ('2720998888888887'), ('2721000000000004'), ('2220990000000005'),
                ('9111111111111111'), ('6111111111111116'), ('012345678905'), ('36000291452101'), ('0012345678905'),
                ('2026-03-24 100000 123456'), ('4111111111111111111111'), ('41111111111111')
            """
        )
        let scan = PersonalDataScan(settings: shop.settings(v1: false), warehouse: shop.warehouse)
        let record = try #require(try await shop.run([scan]).first)
        #expect(record.state == .succeeded, "\(record.error?.summary ?? "")")
        await shop.close()
    }

    /// Who works the daemon may be named by an e-mail: that is no data of customers.
    @Test func operatorsAreLeftOut() async throws {
        let shop = try await AnalyticsShop()
        let listed = try shop.postgres.psql(
            shop.warehouseURL,
            """
            SELECT table_schema || '.' || table_name || '.' || column_name FROM information_schema.columns
            WHERE table_schema = 'etl' AND data_type = 'text'
                AND column_name ~ '(_by|holder|caller|operator|actor|author|owner|user|subject_name)$'
            """
        )
        let named = Set(listed.split(separator: "\n").map(String.init))
        #expect(named == PersonalDataScan.operatorColumns, "each is listed, and no more")
        try shop.postgres.psql(
            shop.warehouseURL,
            """
            INSERT INTO etl.schedules (job, paused, changed_by) VALUES ('pii_scan', true, 'ops@example.org');
            INSERT INTO etl.idempotency_keys (caller, key, request_hash, run_id)
                VALUES ('ops@example.org', 'k', 'h', gen_random_uuid())
            """
        )
        let scan = PersonalDataScan(settings: shop.settings(v1: false), warehouse: shop.warehouse)
        let record = try #require(try await shop.run([scan]).first)
        #expect(record.state == .succeeded, "\(record.error?.summary ?? "")")
        await shop.close()
    }

    /// A product's number may pass for a card; anything else in the column, and a card in any other, is found.
    @Test func productNumbersAreAllowedToLookLikeCards() async throws {
        let shop = try await AnalyticsShop()
        func fill(_ id: String) throws {
            try shop.postgres.psql(
                shop.warehouseURL,
                """
                SELECT analytics.ensure_month('analytics.product_daily', '2026-03-24');
                DELETE FROM analytics.product_daily;
                INSERT INTO analytics.product_daily (order_date, product_id, orders, quantity, revenue, revenue_rank,
                    run_id, computed_at) VALUES ('2026-03-24', '\(id)', 1, 1, 1, 1, gen_random_uuid(), now())
                """
            )
        }
        let scan = PersonalDataScan(settings: shop.settings(v1: false), warehouse: shop.warehouse)
        for id in ["4111111111111111", "01712345678"] {
            try fill(id)
            let record = try #require(try await shop.run([scan]).first)
            #expect(record.state == .succeeded, "\(record.error?.summary ?? "")")
        }
        try fill("DE89370400440532013000")
        let found = try #require(try await shop.run([scan]).first?.error?.summary)
        #expect(found.contains("analytics.product_daily.product_id (iban, 1)"), "\(found)")
        #expect(PersonalDataScan.allowances.values.allSatisfy { !$0.reason.isEmpty })
        await shop.close()
    }
}
