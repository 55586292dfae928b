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
        let spoiling = SpoilingTransport(mock)
        let second = try await bench.run(
            bench.shopify(at: PullBench.noon.addingTimeInterval(90_000), transport: spoiling),
            options
        )
        #expect(second.state == .succeeded, "\(String(describing: second.error))")
        let spoiled = try #require(spoiling.spoiled.value, "the sweep reads a bulk result")
        #expect(second.summary?["counts"]?["marked"]?.int == 1)
        let marked =
            pipeline == "products"
            ? "SELECT string_agg(product_code, ' ') FROM product WHERE deleted_at IS NOT NULL"
            : "SELECT string_agg(marketplace_listing_id, ' ') FROM listing WHERE status = 'deleted'"
        #expect(try bench.psql(marked) == "ghost", "\(spoiled) is there")
        await bench.pool.close()
    }
}

/// The mock, with the times of one variant of a bulk result made unreadable.
private final class SpoilingTransport: HTTPTransport {
    private let mock: MockShopify
    /// The id of the variant.
    let spoiled = Watched<String?>(nil)

    init(_ mock: MockShopify) { self.mock = mock }

    func send(_ request: OutboundRequest, limits: ExchangeLimits) async throws -> OutboundResponse {
        try await mock.send(request, limits: limits)
    }

    func download(_ request: OutboundRequest, to file: URL, limits: ExchangeLimits) async throws -> OutboundResponse {
        let response = try await mock.download(request, to: file, limits: limits)
        var lines = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n")
        if let index = lines.firstIndex(where: { $0.contains("__parentId") }) {
            let id = try WireJSON(parsing: Array(lines[index].utf8))["id"].string
            spoiled.change { $0 = id }
            lines[index].replace("\"updatedAt\":\"20", with: "\"updatedAt\":\"when it was 20")
        }
        try Data(lines.joined(separator: "\n").utf8).write(to: file)
        return response
    }
}
