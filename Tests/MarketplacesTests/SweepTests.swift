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
}
