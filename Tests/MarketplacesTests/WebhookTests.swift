import Crypto
import Engine
import Foundation
import HTTPClient
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// Shopify's webhooks: signed over the raw body, dropped when repeated, read again by the next pull.
@Suite struct WebhookTests {
    private static let shop = "tally-demo.myshopify.com"
    private static let noon = PullBench.noon

    private static func headers(_ body: String, topic: String, id: String, at date: Date = noon, key: String = "hush")
        -> [String: String]
    {
        let code = HMAC<SHA256>.authenticationCode(
            for: Array(body.utf8),
            using: SymmetricKey(data: Array(key.utf8))
        )
        return [
            "x-shopify-hmac-sha256": Data(code).base64EncodedString(), "x-shopify-topic": topic,
            "x-shopify-shop-domain": shop, "x-shopify-webhook-id": id,
            "x-shopify-triggered-at": WireTime.text(date),
        ]
    }

    private func webhook(_ bench: PullBench) -> ShopifyWebhook {
        ShopifyWebhook(secrets: [Self.shop: Secret("hush")], pool: bench.pool, now: { Self.noon })
    }

    @Test func onlyWhatTheShopSignedIsKeptAndOnlyOnce() async throws {
        let bench = try await PullBench()
        let hook = webhook(bench)
        let body = #"{"id":77,"note":"grüße"}"#
        let good = Self.headers(body, topic: "orders/updated", id: "w1")
        #expect(try await hook.receive(headers: good, body: Array(body.utf8)) == .kept)
        #expect(try await hook.receive(headers: good, body: Array(body.utf8)) == .duplicate)
        let changed = body.replacing("77", with: "78")
        #expect(try await hook.receive(headers: good, body: Array(changed.utf8)) == .unsigned)
        let foreign = Self.headers(body, topic: "orders/updated", id: "w2", key: "other")
        #expect(try await hook.receive(headers: foreign, body: Array(body.utf8)) == .unsigned)
        var elsewhere = good
        elsewhere["x-shopify-shop-domain"] = "stranger.myshopify.com"
        #expect(try await hook.receive(headers: elsewhere, body: Array(body.utf8)) == .unsigned)
        let old = Self.headers(body, topic: "orders/updated", id: "w3", at: Self.noon.addingTimeInterval(-21_700))
        #expect(try await hook.receive(headers: old, body: Array(body.utf8)) == .stale)
        let early = Self.headers(body, topic: "orders/updated", id: "w4", at: Self.noon.addingTimeInterval(400))
        #expect(try await hook.receive(headers: early, body: Array(body.utf8)) == .stale)
        let empty = "{}"
        let nameless = Self.headers(empty, topic: "orders/updated", id: "w5")
        #expect(try await hook.receive(headers: nameless, body: Array(empty.utf8)) == .malformed)
        #expect(
            try bench.psql("SELECT notice_id, pipeline, object_id FROM marketplace.notices")
                == "w1|sales|gid://shopify/Order/77"
        )
        let returned = #"{"id":6,"status":"open","order":{"id":78}}"#
        let processed = Self.headers(returned, topic: "returns/process", id: "w7")
        #expect(try await hook.receive(headers: processed, body: Array(returned.utf8)) == .kept)
        let named = "SELECT pipeline, object_id FROM marketplace.notices WHERE notice_id = 'w7'"
        #expect(try bench.psql(named) == "sales|gid://shopify/Order/78")
        let product = #"{"id":5}"#
        let renamed = Dictionary(
            uniqueKeysWithValues: Self.headers(product, topic: "products/update", id: "w6").map {
                (String($0.key.dropFirst(2)), $0.value)
            }
        )
        #expect(try await hook.receive(headers: renamed, body: Array(product.utf8)) == .kept, "headers without X-")
        #expect(try bench.psql("SELECT count(*) FROM marketplace.notices WHERE notice_id = 'w6'") == "2")
        await bench.pool.close()
    }

    /// What a webhook names is read again although the watermark lies far behind it.
    @Test func theNextPullReadsWhatWasNamed() async throws {
        let bench = try await PullBench()
        #expect(try await bench.run(bench.shopify()).state == .succeeded)
        let tables = try bench.tables()
        _ = try bench.psql(
            """
            UPDATE marketplace.order_lines SET revenue = revenue + 1 WHERE document_id = 'gid://shopify/Order/3';
            UPDATE sales_ts s SET revenue = (SELECT sum(l.revenue - l.refunded - l.returned)
                FROM marketplace.order_lines l
                WHERE l.product_code = s.product_code AND l.ts = s.ts)
            """
        )
        #expect(try bench.tables() != tables)
        let body = #"{"id":3}"#
        let headers = Self.headers(body, topic: "orders/edited", id: "w1")
        #expect(try await webhook(bench).receive(headers: headers, body: Array(body.utf8)) == .kept)
        let record = try await bench.run(bench.shopify())
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        #expect(try bench.tables() == tables)
        #expect(try bench.psql("SELECT count(*) FROM marketplace.notices WHERE settled_at IS NULL") == "0")
        await bench.pool.close()
    }

    @Test func aDeletedOrderKeepsNoLines() async throws {
        let bench = try await PullBench()
        #expect(try await bench.run(bench.shopify()).state == .succeeded)
        // An order that the shop does not know any more.
        _ = try bench.psql(
            """
            INSERT INTO marketplace.documents VALUES
                ('shopify', 'acme', 'tally-demo.myshopify.com', 'order', 'gid://shopify/Order/999999', 1, 'paid');
            INSERT INTO marketplace.order_lines (source, account_id, scope, document_id, line_id, marketplace, country,
                product_code, ts, sold_at, units, units_refunded, revenue, refunded, currency_code)
            VALUES ('shopify', 'acme', 'tally-demo.myshopify.com', 'gid://shopify/Order/999999', 'l', 'shopify', 'DE',
                'ghost', '2026-01-10', '2026-01-10', 1, 0, 5, 0, 'EUR');
            INSERT INTO sales_ts VALUES ('acme', 'shopify', 'DE', 'ghost', '2026-01-10', 1, 5, NULL, NULL, 'EUR')
            """
        )
        let body = #"{"id":999999}"#
        let headers = Self.headers(body, topic: "orders/delete", id: "w1")
        #expect(try await webhook(bench).receive(headers: headers, body: Array(body.utf8)) == .kept)
        #expect(try await bench.run(bench.shopify()).state == .succeeded)
        #expect(try bench.psql("SELECT count(*) FROM sales_ts WHERE product_code = 'ghost'") == "0")
        await bench.pool.close()
    }
}
