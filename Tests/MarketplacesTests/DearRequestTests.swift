import Engine
import Foundation
import HTTPClient
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// Objects asked for by id: Shopify finds some requests too dear, whatever our estimate.
@Suite(.serialized) struct DearRequestTests {
    private static func transport(_ idsMax: Int) -> HookedTransport {
        let mock = MockShopify(trade: PullBench.trade, shop: "tally-demo.myshopify.com", now: { PullBench.noon })
        return HookedTransport(
            mock: mock,
            instead: { request in
                guard HookedTransport.operation(request).hasSuffix("ByID"),
                    let ids = try WireJSON(parsing: request.body ?? [])["variables"]["ids"].array, ids.count > idsMax
                else { return nil }
                return HookedTransport.json(#"{"errors":[{"extensions":{"code":"MAX_COST_EXCEEDED"}}]}"#)
            }
        )
    }

    private static let open = "SELECT count(*) FROM marketplace.notices WHERE settled_at IS NULL"

    private static func notify(_ bench: PullBench) throws {
        _ = try bench.psql(
            """
            INSERT INTO marketplace.notices (source, scope, notice_id, pipeline, topic, object_id)
            SELECT 'shopify', 'tally-demo.myshopify.com', 'o' || n, 'sales', 'orders/updated',
                'gid://shopify/Order/' || n FROM generate_series(1, 12) n
            UNION ALL SELECT 'shopify', 'tally-demo.myshopify.com', 'p' || n, 'products', 'products/update',
                'gid://shopify/Product/' || n FROM generate_series(1, 12) n
            """
        )
    }

    @Test(arguments: [4, 1])
    func aRequestByIDGetsSmaller(idsMax: Int) async throws {
        let clean = try await PullBench()
        #expect(try await clean.run(clean.shopify()).state == .succeeded)
        let bench = try await PullBench()
        try Self.notify(bench)
        let record = try await bench.run(bench.shopify(transport: Self.transport(idsMax)))
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        #expect(try bench.psql(Self.open) == "0")
        #expect(try bench.tables() == clean.tables())
        await bench.pool.close()
        await clean.pool.close()
    }

    /// Only of one alone may be said that it is too dear.
    @Test func oneThatIsTooDearAloneIsSaidSo() async throws {
        let bench = try await PullBench()
        try Self.notify(bench)
        var options = RunOptions()
        options.pipeline = "sales"
        let record = try await bench.run(bench.shopify(transport: Self.transport(0)), options)
        #expect(record.error?.kind == TallyError.Kind.limitExceeded.rawValue)
        #expect(record.error?.summary.contains("one record") == true)
        #expect(try bench.psql(Self.open) == "24", "nothing is settled that was not read")
        await bench.pool.close()
    }
}
