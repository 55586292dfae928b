import Engine
import Foundation
import HTTPClient
import Logging
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// Where a pull begins and ends, what it marks, and what it tells.
@Suite struct PullOptionsTests {
    private static func options(since: Date? = nil, until: Date? = nil, _ pipeline: String = "sales") -> RunOptions {
        var options = RunOptions()
        options.pipeline = pipeline
        options.since = since.map { WireTime.text($0) }
        options.until = until.map { WireTime.text($0) }
        return options
    }

    private static func mark(_ bench: PullBench) throws -> String {
        try bench.psql("SELECT cursor_ts AT TIME ZONE 'UTC' FROM etl.watermarks WHERE \"table\" = 'sales'")
    }

    /// The watermark is the bound that was asked for, whatever the newest row; a start beyond it leaves no gap behind a
    /// watermark that moved; one before it reads again and moves on.
    @Test func sinceAndUntilBoundAPull() async throws {
        let bench = try await PullBench()
        let day = { (count: Double) in PullBench.noon.addingTimeInterval(-86_400 * count) }
        let first = try await bench.run(bench.shopify(), Self.options(until: day(20)))
        #expect(first.state == .succeeded, "\(String(describing: first.error))")
        #expect(try Self.mark(bench) == "2026-02-09 12:00:00")
        let beyond = "SELECT count(*) FROM marketplace.order_lines WHERE sold_at > '2026-02-09 12:00:00+00'"
        #expect(try bench.psql(beyond) == "0")

        let gap = try await bench.run(bench.shopify(), Self.options(since: day(5), until: day(3)))
        #expect(gap.state == .succeeded, "\(String(describing: gap.error))")
        #expect(try bench.psql(beyond) != "0", "what was asked for is there")
        #expect(try Self.mark(bench) == "2026-02-09 12:00:00", "and the watermark knows that the days between are not")

        let back = try await bench.run(bench.shopify(), Self.options(since: day(30), until: day(25)))
        #expect(back.state == .succeeded, "\(String(describing: back.error))")
        #expect(try Self.mark(bench) == "2026-02-09 12:00:00", "a window behind it does not move it back")

        let over = try await bench.run(bench.shopify(), Self.options(since: day(22), until: day(10)))
        #expect(over.state == .succeeded, "\(String(describing: over.error))")
        #expect(try Self.mark(bench) == "2026-02-19 12:00:00")

        #expect(try await bench.run(bench.shopify(), Self.options()).state == .succeeded)
        #expect(try Self.mark(bench) == "2026-03-01 11:59:55", "five seconds before now, not the newest row")
        let clean = try await PullBench()
        #expect(try await clean.run(clean.shopify(), Self.options()).state == .succeeded)
        #expect(try bench.tables() == clean.tables())
        await bench.pool.close()
        await clean.pool.close()
    }

    /// One pipeline, or a chosen window, says nothing of the tables that nobody looked at.
    @Test func whatCoveredAPartIsNoSuccessOfTheJob() async throws {
        let bench = try await PullBench()
        let ledger = Ledger(state: bench.pool)
        #expect(try await bench.run(bench.shopify(), Self.options()).state == .succeeded)
        #expect(try await ledger.lastSuccess(job: "shopify") == nil)
        let whole = try await bench.run(bench.shopify())
        #expect(whole.state == .succeeded, "\(String(describing: whole.error))")
        let day = PullBench.noon.addingTimeInterval(-86_400)
        for part in [Self.options(since: day, "all"), Self.options("products")] {
            #expect(try await bench.run(bench.shopify(), part).state == .succeeded)
            #expect(try await ledger.lastSuccess(job: "shopify")?.id == whole.id)
        }
        await bench.pool.close()
    }

    /// One for each source, table, account and shop or marketplace.
    @Test func everyMarketplaceHasItsOwnWatermarks() async throws {
        let bench = try await PullBench()
        let both = try ["DE", "FR"].map { try #require(AmazonMarketplace($0)) }
        #expect(try await bench.run(bench.amazon(both)).state == .succeeded)
        #expect(try await bench.run(bench.shopify()).state == .succeeded)
        let marks = try bench.psql(
            """
            SELECT source, account_id, scope, string_agg("table", ' ' ORDER BY "table") FROM etl.watermarks
            WHERE "table" NOT LIKE '%\\_%' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            """
        )
        #expect(
            marks == """
                amazon|acme|A13V1IB3VIYZZH|fees listings products sales
                amazon|acme|A1PA6795UKMFR9|fees listings products sales
                shopify|acme|tally-demo.myshopify.com|fees listings products sales
                """
        )
        // One of them moved back is one read again.
        _ = try bench.psql(
            "DELETE FROM etl.watermarks WHERE scope = 'A13V1IB3VIYZZH'; DELETE FROM sales_ts WHERE country = 'FR'"
        )
        let again = try await bench.run(bench.amazon(both))
        let details = again.summary?["details"]?["accounts"]
        #expect((details?["A13V1IB3VIYZZH/sales"]?["changed"]?["sales_ts"]?.int ?? 0) > 50)
        #expect((details?["A1PA6795UKMFR9/sales"]?["changed"]?["sales_ts"]?.int ?? 0) == 0)
        await bench.pool.close()
    }

    /// The daily sweep marks what the shop no longer has, a webhook makes it come at once, and what comes back is
    /// unmarked.
    @Test func deletedProductsAreMarkedAndComeBack() async throws {
        let bench = try await PullBench()
        let options = Self.options("products")
        #expect(try await bench.run(bench.shopify(), options).state == .succeeded)
        // The first run proves what there is; the second one, later that day, has no sweep to make.
        #expect(try await bench.run(bench.shopify(), options).state == .succeeded)
        let ghost = """
            INSERT INTO product (account_id, marketplace, country, product_code, scope)
            VALUES ('acme', 'shopify', 'DE', 'ghost', 'tally-demo.myshopify.com')
            """
        _ = try bench.psql(ghost)
        let marked = "SELECT string_agg(product_code, ' ') FROM product WHERE deleted_at IS NOT NULL"
        #expect(try await bench.run(bench.shopify(), options).state == .succeeded)
        #expect(try bench.psql(marked) == "", "not swept again within a day")
        _ = try bench.psql(
            """
            INSERT INTO marketplace.notices (source, scope, notice_id, pipeline, topic, object_id) VALUES
                ('shopify', 'tally-demo.myshopify.com', 'w', 'products', 'products/delete',
                    'gid://shopify/Product/9999')
            """
        )
        #expect(try await bench.run(bench.shopify(), options).state == .succeeded)
        #expect(try bench.psql(marked) == "ghost", "a webhook told of a deletion")
        let code = try bench.psql("SELECT min(product_code) FROM product WHERE deleted_at IS NULL")
        _ = try bench.psql("UPDATE product SET deleted_at = now() WHERE product_code = '\(code)'")
        let tomorrow = PullBench.noon.addingTimeInterval(90_000)
        var full = options
        full.full = true
        #expect(try await bench.run(bench.shopify(at: tomorrow), full).state == .succeeded)
        #expect(try bench.psql(marked) == "ghost", "what is there is unmarked")
        await bench.pool.close()
    }

    /// Amazon's own daily sums beside ours: a difference is told, not hidden, and fails nothing.
    @Test func ordersThatAmazonCountsAndWeDoNotAreTold() async throws {
        let bench = try await PullBench()
        let whole = try await bench.run(bench.amazon(), Self.options())
        let control = whole.summary?["details"]?["accounts"]?["A1PA6795UKMFR9/control"]
        #expect(control?["days"]?.int == 7)
        #expect(control?["differing"]?.int == 0)
        _ = try bench.psql(
            """
            DELETE FROM marketplace.order_lines WHERE ts > '2026-02-25' AND ts < '2026-02-26';
            DELETE FROM sales_ts WHERE ts > '2026-02-25' AND ts < '2026-02-26'
            """
        )
        let short = try await bench.run(bench.amazon(), Self.options())
        #expect(short.state == .succeeded, "\(String(describing: short.error))")
        let told = short.summary?["details"]?["accounts"]?["A1PA6795UKMFR9/control"]
        #expect((told?["differing"]?.int ?? 0) > 0)
        await bench.pool.close()
    }

    // MARK: Settings of the vendors

    @Test(arguments: [(91.0, 0), (89, 1)])
    func theVersionsEndIsWarnedOfOnceNinetyDaysBefore(daysBefore: Double, warnings: Int) async throws {
        let lines = Watched<[String]>([])
        let now = ShopifySettings.versionEnds.addingTimeInterval(-86_400 * daysBefore)
        let client = ShopifyClient(
            settings: try #require(ShopifySettings(shop: "tally-demo")),
            transport: MockShopify(trade: PullBench.trade, shop: "tally-demo.myshopify.com", now: { now }),
            tokens: FixedToken(Secret("shpat_example")),
            throttle: Throttle(limits: LocalRateLimits(), progress: Progress(), budgetEnds: .distantFuture),
            clock: VendorClock(now: { now }),
            logger: Logger(label: "test") { _ in WarningHandler(lines: lines) }
        )
        for _ in 0..<3 { _ = try await client.send(.shop, [:]) }
        #expect(lines.value.filter { $0.contains("retires within 90 days") }.count == warnings)
    }

    @Test func theSandboxIsAnotherHostOfTheSameRegion() throws {
        let german = try #require(AmazonMarketplace("DE"))
        func host(_ isSandbox: Bool) throws -> String? {
            try #require(
                AmazonAccount(
                    accountID: "a",
                    sellerID: "A1",
                    marketplaces: [german],
                    isSandbox: isSandbox,
                    credentials: .token(Secret("t"))
                )
            ).baseURL.host()
        }
        #expect(try host(false) == "sellingpartnerapi-eu.amazon.com")
        #expect(try host(true) == "sandbox.sellingpartnerapi-eu.amazon.com")
    }
}

private struct WarningHandler: LogHandler {
    let lines: Watched<[String]>
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .warning

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        lines.change { $0.append("\(event.message)") }
    }
}
