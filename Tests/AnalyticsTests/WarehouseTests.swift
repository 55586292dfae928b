import Analytics
import Engine
import Foundation
import Postgres
import Runtime
import TestKit
import Testing

/// The warehouse as its migrations make it, and the dashboard that reads it.
@Suite(.serialized) struct WarehouseTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../..").standardizedFileURL

    @Test func everyMigrationOfTheFolderIsCompiledIn() throws {
        let folder = Self.root.appending(path: "Sources/Analytics/Migrations").path
        let files = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
        #expect(AnalyticsMigrations.files.map(\.name) == files)
        #expect(try AnalyticsMigrations.all().count == files.count)
    }

    @Test func everyColumnIsExplainedAndEveryTableHasAKey() async throws {
        let shop = try await AnalyticsShop()
        let uncommented = try shop.postgres.psql(
            shop.warehouseURL,
            """
            SELECT c.oid::regclass || '.' || a.attname FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE n.nspname IN ('public', 'analytics') AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
                AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)
            """
        )
        #expect(uncommented == "")
        let keyless = try shop.postgres.psql(
            shop.warehouseURL,
            """
            SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname IN ('public', 'analytics') AND c.relkind IN ('r', 'p')
                AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)
            """
        )
        #expect(keyless == "")
        for measure in Measure.all {
            let columns = try shop.postgres.psql(
                shop.warehouseURL,
                "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute "
                    + "WHERE attrelid = '\(measure.table)'::regclass AND attnum > 0"
            )
            #expect(columns == measure.columns.joined(separator: ",") + ",run_id,computed_at\n", "\(measure.name)")
        }
        await shop.close()
    }

    @Test func growingTablesArePartitionedByMonth() async throws {
        let shop = try await AnalyticsShop(seed: 31)
        _ = try await shop.run(shop.jobs(shop.settings(v1: false)), AnalyticsShop.wholeRange)
        for table in ["cohort_retention", "product_daily", "fraud_signals"] {
            let parts = try shop.postgres.psql(
                shop.warehouseURL,
                "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'analytics.\(table)'::regclass ORDER BY 1"
            )
            #expect(parts == "analytics.\(table)_y2026m03\nanalytics.\(table)_y2026m04\n")
        }
        await shop.close()
    }

    @Test func migrationsGoDownAndUpAgain() async throws {
        let shop = try await AnalyticsShop()
        let migrator = PGMigrator(
            migrations: try AnalyticsMigrations.all(),
            schema: try EngineMigrations.migrator().schema
        )
        for _ in AnalyticsMigrations.files {
            _ = try await shop.warehouse.withConnection { try await migrator.down($0) }
        }
        let left = try shop.postgres.psql(
            shop.warehouseURL,
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                + "WHERE n.nspname IN ('public', 'analytics')"
        )
        #expect(left == "0\n")
        _ = try await shop.warehouse.withConnection { try await migrator.up($0) }
        #expect(try shop.stored().isEmpty)
        await shop.close()
    }

    /// What a dashboard shows is what the tables say.
    @Test func viewsAgreeWithTheTables() async throws {
        let shop = try await AnalyticsShop(seed: 32)
        _ = try await shop.run(shop.jobs(shop.settings(v1: false)), AnalyticsShop.wholeRange)
        func both(_ view: String, _ tables: String) throws {
            let (shown, stored) = (
                try shop.postgres.psql(shop.warehouseURL, view), try shop.postgres.psql(shop.warehouseURL, tables)
            )
            #expect(shown == stored && !shown.isEmpty, "\(view)")
        }
        try both(
            "SELECT day, orders, revenue, payments FROM analytics.daily_kpis WHERE orders IS NOT NULL ORDER BY 1",
            """
            SELECT order_date, sum(order_count), sum(CASE WHEN status = 'completed' THEN total_revenue ELSE 0 END),
                (SELECT sum(transaction_count) FROM payment_analytics WHERE payment_date = order_date)
            FROM order_analytics GROUP BY 1 ORDER BY 1
            """
        )
        try both(
            """
            SELECT day, registrations, verified_users, premium_signups, daily_active, weekly_active, monthly_active,
                stickiness, churned_users, churn_rate, cancel_share, refund_share, refunded_amount, paid_amount,
                payment_success_rate, payment_outliers, notifications_sent, notification_open_rate
            FROM analytics.daily_kpis ORDER BY 1
            """,
            """
            SELECT d::date,
                (SELECT total_registrations FROM user_analytics WHERE registration_date = d),
                (SELECT verified_users FROM user_analytics WHERE registration_date = d),
                (SELECT premium_signups FROM user_analytics WHERE registration_date = d),
                (SELECT daily_active FROM analytics.activity_daily WHERE activity_date = d),
                (SELECT weekly_active FROM analytics.activity_daily WHERE activity_date = d),
                (SELECT monthly_active FROM analytics.activity_daily WHERE activity_date = d),
                (SELECT stickiness FROM analytics.activity_daily WHERE activity_date = d),
                (SELECT churned_users FROM analytics.churn_daily WHERE churn_date = d),
                (SELECT churn_rate FROM analytics.churn_daily WHERE churn_date = d),
                (SELECT cancel_share FROM analytics.order_outcomes WHERE order_date = d),
                (SELECT refund_share FROM analytics.order_outcomes WHERE order_date = d),
                (SELECT refunded_amount FROM analytics.order_outcomes WHERE order_date = d),
                (SELECT sum(total_amount) FROM payment_analytics WHERE payment_date = d),
                (SELECT round(100.0 * sum(successful) / sum(transaction_count), 2) FROM payment_analytics
                    WHERE payment_date = d),
                (SELECT outliers FROM analytics.fraud_daily WHERE payment_date = d),
                (SELECT sum(total_sent) FROM notification_analytics WHERE notification_date = d),
                (SELECT round(100.0 * sum(opened) / sum(delivered), 2) FROM notification_analytics
                    WHERE notification_date = d)
            FROM generate_series('2026-03-24'::date, '2026-04-02', '1 day') d ORDER BY 1
            """
        )
        try both(
            "SELECT product_id, growth_percent FROM analytics.rising_products ORDER BY 1",
            """
            SELECT product_id, CASE WHEN before > 0 THEN round(recent / before * 100 - 100, 2) END FROM (
                SELECT product_id, sum(CASE WHEN order_date > '2026-03-26' THEN revenue ELSE 0 END) AS recent,
                    sum(CASE WHEN order_date > '2026-03-26' THEN 0 ELSE revenue END) AS before
                FROM analytics.product_daily WHERE order_date BETWEEN '2026-03-20' AND '2026-04-02' GROUP BY 1
            ) x WHERE recent > before ORDER BY 1
            """
        )
        try both(
            "SELECT product_id, revenue_7_days - revenue_7_days_before FROM analytics.rising_products ORDER BY 1",
            """
            SELECT product_id, sum(CASE WHEN order_date > '2026-03-26' THEN revenue ELSE -revenue END)
            FROM analytics.product_daily WHERE order_date BETWEEN '2026-03-20' AND '2026-04-02'
            GROUP BY 1 HAVING sum(CASE WHEN order_date > '2026-03-26' THEN revenue ELSE -revenue END) > 0 ORDER BY 1
            """
        )
        try both(
            "SELECT count(*) FROM analytics.top_products",
            "SELECT sum(least(n, 20)) FROM (SELECT count(*) n FROM analytics.product_daily GROUP BY order_date) x"
        )
        try both(
            "SELECT users, churned, churned_share FROM analytics.churn_summary",
            "SELECT count(*), sum(is_churned::int), round(100.0 * avg(is_churned::int), 2) FROM user_activity"
        )
        try both(
            "SELECT sum(notifications) FROM analytics.notification_funnel",
            "SELECT sum(total_sent + delivered + opened + clicked) FROM notification_analytics"
        )
        try both(
            "SELECT sum(total_sent) FROM analytics.channel_totals",
            "SELECT sum(total_sent) FROM notification_analytics"
        )
        await shop.close()
    }

    /// Every panel's query runs on the warehouse; Grafana's macro is replaced by what it stands for.
    @Test func everyPanelOfTheDashboardCanBeDrawn() async throws {
        let shop = try await AnalyticsShop(seed: 33)
        _ = try await shop.run(shop.jobs(shop.settings(v1: false)), AnalyticsShop.wholeRange)
        let data = try Data(contentsOf: Self.root.appending(path: "grafana/analytics.json"))
        let dashboard = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let panels = try #require(dashboard["panels"] as? [[String: Any]]).filter { $0["type"] as? String != "row" }
        #expect(panels.count >= 10)
        for panel in panels {
            let targets = try #require(panel["targets"] as? [[String: Any]])
            for target in targets {
                let sql = try #require(target["rawSql"] as? String)
                let plain = sql.replacing(#/\$__timeFilter\(([a-z_.]+)\)/#) { match in
                    "\(match.output.1) BETWEEN '2026-03-24' AND '2026-04-02'"
                }
                #expect(!plain.contains("$"), "\(sql)")
                let rows = try shop.postgres.psql(shop.warehouseURL, plain)
                #expect(!rows.isEmpty, "\(panel["title"] ?? "")")
            }
        }
        await shop.close()
    }
}
