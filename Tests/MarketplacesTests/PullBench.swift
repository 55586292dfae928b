import Engine
import Foundation
import HTTPClient
import Logging
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// A fresh database with the engine's and the marketplaces' tables, and jobs run on it by the real runner.
struct PullBench: Sendable {
    let url: String
    let pool: PGPool

    /// `existing` is a database that has tables already.
    init(url existing: String? = nil) async throws {
        url = try existing ?? TestPostgres.shared().freshDatabase()
        pool = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 8)
        _ = try await pool.withConnection { connection in
            _ = try await EngineMigrations.migrator().up(connection)
            return try await PGMigrator(migrations: MarketplaceMigrations.migrations(), schema: "etl").up(connection)
        }
    }

    /// Runs the job to its end.
    func run(
        _ job: any Job,
        _ options: RunOptions = RunOptions(),
        failpoint: Failpoint = .none,
        logger: Logger = Self.silent
    ) async throws -> RunRecord {
        let runner = JobRunner(
            state: pool,
            jobs: [job],
            holder: TestTag.fresh(),
            settings: RunSettings(backoff: Self.quick),
            failpoint: failpoint,
            logger: logger
        )
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await runner.run() }
            defer { group.cancelAll() }
            let id = try await runner.submit(job.name, options, trigger: .cli, requestedBy: "test")
            return try await runner.wait(id)
        }
    }

    func psql(_ sql: String) throws -> String {
        try TestPostgres.shared().psql(url, sql).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The unified tables and what stands behind them, without surrogate keys.
    func tables() throws -> String {
        try [
            """
            SELECT account_id, marketplace, country, product_code, sku, asin, title, category, brand, currency_code,
                price, unit_cost, source_updated_at, deleted_at IS NULL FROM product ORDER BY 1, 2, 3, 4
            """,
            """
            SELECT l.account_id, marketplace_listing_id, l.sku, l.asin, url, status, p.product_code
            FROM listing l LEFT JOIN product p ON p.id = l.product_id ORDER BY 1, 2
            """,
            "SELECT * FROM sales_ts ORDER BY 1, 2, 3, 4, 5", "SELECT * FROM fees_ts ORDER BY 1, 2, 3, 4, 5, 6",
            "SELECT * FROM marketplace.order_lines ORDER BY 1, 2, 3, 4, 5",
            "SELECT * FROM marketplace.fee_lines ORDER BY 1, 2, 3, 4, 5",
        ].map { try psql($0) }.joined(separator: "\n--\n")
    }

    static let silent = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
    static let quick = Backoff(base: .milliseconds(1), ceiling: .milliseconds(5), attemptsMax: 8)
    /// Beside a page, and inside and right behind its transaction.
    static let killPoints = ["marketplace.page", "write.afterFence", "write.beforeCommit", "write.afterCommit"]
    static let trade = MockTrade(orderEvery: 14_400)
    static let noon = Date(timeIntervalSince1970: 1_772_366_400)

    /// The job `shopify` on the synthetic shop, asked at `clock`.
    func shopify(
        _ trade: MockTrade = Self.trade,
        at clock: Date = Self.noon,
        token: String = "shpat_example",
        transport: (any HTTPTransport)? = nil,
        budget: Duration = .seconds(3_000)
    ) -> MarketplaceJob {
        MarketplaceJob(name: "shopify", target: pool, state: pool, budget: budget, clock: { clock }) { tools in
            let settings = try #require(ShopifySettings(shop: "tally-demo"))
            let asOf = tools.until ?? tools.now
            let client = ShopifyClient(
                settings: settings,
                transport: transport ?? MockShopify(trade: trade, shop: settings.shop, now: { asOf }),
                tokens: FixedToken(Secret(token)),
                throttle: tools.throttle,
                clock: VendorClock(now: { clock }),
                logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            )
            return [
                AccountPull(accountID: "acme", scope: settings.shop) {
                    try await ShopifySource(client: client, accountID: "acme", country: "DE")
                }
            ]
        }
    }

    static func trades(_ marketplaces: [AmazonMarketplace]) -> [String: MockTrade] {
        MockAmazon.trades(marketplaces, orderEvery: 14_400)
    }

    /// The job `amazon` on the synthetic seller, asked at `clock`.
    func amazon(
        _ marketplaces: [AmazonMarketplace] = [AmazonMarketplace("DE")].compactMap { $0 },
        at clock: Date = Self.noon,
        transport: (any HTTPTransport)? = nil
    ) -> MarketplaceJob {
        MarketplaceJob(
            name: "amazon",
            target: pool,
            state: pool,
            clock: { clock },
            pulls: amazonPulls(marketplaces, transport: transport)
        )
    }

    func amazonPulls(_ marketplaces: [AmazonMarketplace], transport: (any HTTPTransport)? = nil)
        -> MarketplaceJob.MakePulls
    {
        { tools in
            let asOf = tools.now
            let mock = MockAmazon(trades: Self.trades(marketplaces), sellerID: "A0MOCKSELLER", now: { asOf })
            let account = try #require(
                AmazonAccount(
                    accountID: "acme",
                    sellerID: "A0MOCKSELLER",
                    marketplaces: marketplaces,
                    credentials: .token(Secret("Atza|example"))
                )
            )
            return try await MarketplaceJob.pulls([account], transport: transport ?? mock, vault: nil)(tools)
        }
    }
}
