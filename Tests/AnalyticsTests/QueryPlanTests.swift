import Analytics
import Foundation
import Postgres
import Runtime
import TestKit
import Testing

/// Every query of the source: compiled in, planned against both schemas, and by an index range on its window.
@Suite(.serialized) struct QueryPlanTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Sources/Analytics/SQL").standardizedFileURL

    /// 400 days with 60 rows each, so that a window is a small part of its table.
    private static let shop = """
        CREATE TABLE users AS SELECT n AS id, 'e' AS email, 'active' AS status, 'premium' AS subscription_type,
            true AS email_verified, at + interval '1 day' AS last_login_at, at AS created_at
            FROM (SELECT n, timestamptz '2025-01-01' + n * interval '24 minutes' AS at
                FROM generate_series(1, 24000) n) x;
        CREATE TABLE users_v2 AS SELECT 'usr_1_' || id AS user_token, created_at, status, subscription_type
            AS subscription_tier, created_at AS email_verified_at, last_login_at AS last_activity_at FROM users;
        CREATE TABLE orders AS SELECT id, id AS user_id, created_at, 'completed' AS status, 9.99 AS total_amount
            FROM users;
        CREATE TABLE orders_v2 AS SELECT id, 'usr_1_' || id AS user_token, created_at, status, total_amount FROM orders;
        CREATE TABLE order_items AS SELECT id AS order_id, 'p' || id % 9 AS product_id, 1 AS quantity,
            9.99 AS unit_price FROM orders;
        CREATE TABLE order_items_v2 AS TABLE order_items;
        CREATE TABLE payments AS SELECT id, id % 50 AS user_id, created_at, 'paypal' AS payment_method,
            (id % 97)::numeric AS amount, CASE WHEN id % 5 = 0 THEN 'failed' ELSE 'success' END AS status,
            20 AS processing_time_ms, 'lost' AS failure_reason FROM users;
        CREATE TABLE payments_v2 AS SELECT 'usr_1_' || user_id AS user_token, created_at, payment_method, amount,
            status, processing_time_ms, failure_reason FROM payments;
        CREATE TABLE notifications AS SELECT created_at AS sent_at, 'sms' AS channel, 'offer' AS notification_type,
            created_at AS delivered_at, created_at AS opened_at, created_at AS clicked_at FROM users;
        CREATE TABLE notifications_v2 AS TABLE notifications;
        CREATE INDEX ON users (created_at); CREATE INDEX ON users (last_login_at);
        CREATE INDEX ON users_v2 (created_at); CREATE INDEX ON users_v2 (last_activity_at);
        CREATE INDEX ON orders (created_at); CREATE INDEX ON orders_v2 (created_at);
        CREATE INDEX ON order_items (order_id); CREATE INDEX ON order_items_v2 (order_id);
        CREATE INDEX ON payments (created_at); CREATE INDEX ON payments_v2 (created_at);
        CREATE INDEX ON notifications (sent_at); CREATE INDEX ON notifications_v2 (sent_at);
        ANALYZE
        """

    @Test func everyFileIsAQueryAndEveryQueryAFile() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
        var names: Set<String> = []
        for measure in Measure.all {
            names.insert("\(measure.name).sql")
            if measure.sql(.v1, legacy: true) != measure.sql(.v1, legacy: false) {
                names.insert("\(measure.name)_legacy.sql")
            }
        }
        #expect(Set(files) == names.union(["persons_of_users.sql", "persons_of_payments.sql"]))
        #expect(Set(Measure.all.map(\.name)).count == Measure.all.count)
    }

    /// Beside the names of tables and columns, a measure of v1 and one of v2 are the same text.
    @Test func theSchemasDifferInNamesAlone() throws {
        let measure = try #require(Measure.all.first { $0.name == "signup_funnel" })
        let v1 = measure.sql(.v1, legacy: false)
        #expect(v1.contains("SELECT id::text AS person, email_verified IS TRUE AS verified FROM users\n"))
        #expect(v1.contains("SELECT DISTINCT user_id::text AS person FROM orders WHERE"))
        let v2 = measure.sql(.v2, legacy: false)
        #expect(
            v2.contains("SELECT user_token::text AS person, email_verified_at IS NOT NULL AS verified FROM users_v2\n")
        )
        #expect(v2.contains("SELECT DISTINCT user_token::text AS person FROM orders_v2 WHERE"))
        for schema in SourceSchema.allCases {
            let texts = Measure.all.map { $0.sql(schema, legacy: false) } + PersonQuery.all.map { $0.sql(schema) }
            for text in texts { #expect(text.firstMatch(of: /\{[a-z_]+\}/) == nil, "a name nobody fills in: \(text)") }
        }
    }

    @Test func everyQueryIsAnIndexRangeOnItsWindow() async throws {
        let postgres = try TestPostgres.shared()
        let url = try postgres.freshDatabase()
        try postgres.psql(url, Self.shop)
        let source = AnalyticsFeatureParts.sourcePool(Secret(url))
        let day = try #require(CalendarDay("2025-02-10"))
        try await source.withConnection { source in
            for measure in Measure.all {
                for (schema, legacy) in [(SourceSchema.v1, false), (.v1, true), (.v2, false)] {
                    let parameters = WindowParameters(day, zone: .gmt, churnDays: 30, present: [])
                    let sql = measure.sql(schema, legacy: legacy)
                    let lines = try await source.query("EXPLAIN \(sql)", parameters.values).rows
                        .map { try $0[0].string() }
                    let plan = lines.joined(separator: "\n")
                    let label = "\(measure.name) \(schema) legacy \(legacy)\n\(plan)"
                    #expect(!plan.contains("Seq Scan on"), "\(label)")
                    let ranges = lines.filter { line in
                        line.contains("Index Cond") && (line.contains(">") || line.contains("<"))
                            && ["created_at", "sent_at", "last_login_at", "last_activity_at"]
                                .contains(where: line.contains)
                    }
                    #expect(!ranges.isEmpty, "\(label)")
                    _ = try await source.query(sql, parameters.values)
                }
            }
            for query in PersonQuery.all {
                for schema in SourceSchema.allCases {
                    let rows = try await source.query("EXPLAIN \(query.sql(schema))").rows
                    #expect(!rows.isEmpty)
                }
            }
        }
        await source.close()
    }
}
