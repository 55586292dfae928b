import Engine
import Foundation
import HTTPClient
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// What a sweep over everything takes for gone.
@Suite(.serialized) struct SweepTests {
    /// A product or listing that the sweep's answer has, though not in a shape that can be read, is not gone (INV-6).
    @Test(arguments: ["products", "listings"])
    func whatCannotBeReadIsThereAllTheSame(pipeline: String) async throws {
        let bench = try await PullBench()
        var options = RunOptions()
        options.pipeline = pipeline
        let first = try await bench.run(bench.shopify(), options)
        #expect(first.state == .succeeded, "\(String(describing: first.error))")
        _ = try bench.psql(
            """
            INSERT INTO product (account_id, marketplace, country, product_code, scope)
            VALUES ('acme', 'shopify', 'DE', 'ghost', 'tally-demo.myshopify.com');
            INSERT INTO listing (account_id, marketplace_listing_id, marketplace, scope, status)
            VALUES ('acme', 'ghost', 'shopify', 'tally-demo.myshopify.com', 'active')
            """
        )
        let mock = MockShopify(
            trade: PullBench.trade,
            shop: "tally-demo.myshopify.com",
            now: { PullBench.noon.addingTimeInterval(90_000) }
        )
        // The id of the variant whose time is made unreadable.
        let spoiled = Watched<String?>(nil)
        let spoiling = SpoilingTransport(mock) { lines in
            guard let index = lines.firstIndex(where: { $0.contains("__parentId") }) else { return }
            let id = try WireJSON(parsing: Array(lines[index].utf8))["id"].string
            spoiled.change { $0 = id }
            lines[index].replace("\"updatedAt\":\"20", with: "\"updatedAt\":\"when it was 20")
        }
        let second = try await bench.run(
            bench.shopify(at: PullBench.noon.addingTimeInterval(90_000), transport: spoiling),
            options
        )
        #expect(second.state == .succeeded, "\(String(describing: second.error))")
        let there = try #require(spoiled.value, "the sweep reads a bulk result")
        #expect(second.summary?["counts"]?["marked"]?.int == 1)
        let marked =
            pipeline == "products"
            ? "SELECT string_agg(product_code, ' ') FROM product WHERE deleted_at IS NOT NULL"
            : "SELECT string_agg(marketplace_listing_id, ' ') FROM listing WHERE status = 'deleted'"
        #expect(try bench.psql(marked) == "ghost", "\(there) is there")
        await bench.pool.close()
    }

    /// Products that change between the run's start and the vendor's answer are there (INV-6).
    @Test(arguments: [[], [MockShopify.BulkFault.failed]])
    func whatChangedSinceTheRunBeganIsThere(faults: [MockShopify.BulkFault]) async throws {
        let bench = try await PullBench()
        var options = RunOptions()
        options.pipeline = "products"
        #expect(try await bench.run(bench.shopify(), options).state == .succeeded)
        // The shop's 45th product is edited at midnight: the run begins before, its bulk operation after that.
        let midnight = MockTrade().epoch.addingTimeInterval(65 * 86_400)
        let began = midnight.addingTimeInterval(-30)
        let shopTime = Watched(began)
        let mock = MockShopify(
            trade: PullBench.trade,
            shop: "tally-demo.myshopify.com",
            bulkFaults: faults,
            now: { shopTime.value }
        )
        let moving = HookedTransport(
            mock: mock,
            instead: { request in
                if HookedTransport.operation(request) == "TallymanBulkRun" {
                    shopTime.change { $0 = midnight.addingTimeInterval(30) }
                }
                return nil
            }
        )
        let record = try await bench.run(bench.shopify(at: began, transport: moving), options)
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        #expect(shopTime.value > midnight, "it was a sweep")
        #expect(record.summary?["counts"]?["marked"]?.int == 0)
        #expect(try bench.psql("SELECT count(*) FROM product WHERE deleted_at IS NOT NULL") == "0")
        #expect(try bench.psql("SELECT count(*) > 40 FROM product") == "t")
        await bench.pool.close()
    }
}
