import Engine
import Foundation
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// The vendors' own examples through mapping into a real PostgreSQL, with golden results.
@Suite struct FixtureTests {
    /// Everything but titles and texts, which are the vendors'.
    private static let dump = [
        """
        SELECT marketplace, country, product_code, sku, asin, currency_code, price, created_at AT TIME ZONE 'UTC',
            source_updated_at AT TIME ZONE 'UTC', title IS NOT NULL, brand IS NOT NULL, category IS NOT NULL
        FROM product ORDER BY 1, 2, 3
        """,
        "SELECT marketplace_listing_id, product_code, status, url IS NOT NULL FROM listing ORDER BY 1",
        """
        SELECT scope, document_id, line_id, product_code, sku, ts AT TIME ZONE 'UTC', sold_at AT TIME ZONE 'UTC',
            units, units_refunded, revenue, refunded, currency_code FROM marketplace.order_lines ORDER BY 1, 2, 3
        """,
        """
        SELECT scope, document_id, line_id, product_code, ts AT TIME ZONE 'UTC', fee_type, amount, currency_code
        FROM marketplace.fee_lines ORDER BY 1, 2, 3
        """,
        "SELECT scope, kind, document_id, status FROM marketplace.documents ORDER BY 1, 2, 3",
        """
        SELECT country, product_code, ts AT TIME ZONE 'UTC', units_sold, revenue, currency_code FROM sales_ts
        ORDER BY 1, 2, 3
        """,
        """
        SELECT country, product_code, ts AT TIME ZONE 'UTC', fee_type, amount, currency_code FROM fees_ts
        ORDER BY 1, 2, 3, 4
        """,
    ]

    private func dump(_ bench: PullBench) throws -> String {
        try Self.dump.map { try bench.psql($0) }.joined(separator: "\n--\n") + "\n"
    }

    @Test(.enabled(if: Fixtures.areThere, "FIXTURES_DIR is not set: the vendors' examples are not beside this clone"))
    func everyExampleOfAmazonIsStoredWithoutLoss() async throws {
        let bench = try await PullBench()
        var items = 0
        var units = 0
        for id in AmazonMarketplace.ids {
            let marketplace = try #require(AmazonMarketplace(id))
            var mapping = AmazonMapping(marketplace: marketplace, sellerID: "A3TH9S8BH6GOGM")
            var rows = MappedRows()
            for example in try Fixtures.amazon("searchOrders", "getOrder") where example.status == "200" {
                for order in example.response["orders"].array ?? [example.response["order"]] {
                    guard order["salesChannel"]["marketplaceId"].string == id else { continue }
                    let document = try #require(try mapping.order(order))
                    let lines = order["orderItems"].array ?? []
                    #expect(document.lines.count == lines.count)
                    items += lines.count
                    units += lines.reduce(0) { $0 + ($1["quantityOrdered"].int ?? 0) }
                    rows.documents.append(document)
                }
            }
            for example in try Fixtures.amazon("searchListingsItems", "getListingsItem") where example.status == "200" {
                for item in example.response["items"].array ?? [example.response] {
                    if let listing = try mapping.listing(item) { rows.listings.append(listing) }
                    if let product = try mapping.product(listing: item, catalog: nil) { rows.products.append(product) }
                }
            }
            try await store(rows, .order, marketplace, bench)
            guard id == "ATVPDKIKX0DER" else { continue }
            var fees = MappedRows()
            for example in try Fixtures.amazon("listTransactions") where example.status == "200" {
                let transactions = example.response["payload"]["transactions"].array ?? []
                #expect(!transactions.isEmpty)
                for transaction in transactions {
                    let id = AmazonMapping.identity(transaction) { _ in 0 }
                    #expect(id.hasPrefix("content:"), "the example has no id")
                    if let document = try mapping.fees(transaction, id: id) { fees.documents.append(document) }
                }
            }
            try await store(fees, .fee, marketplace, bench)
        }
        #expect(items > 5)
        #expect(
            try bench.psql("SELECT count(DISTINCT line_id) FROM marketplace.order_lines") == "\(try distinctItems())"
        )
        #expect(units >= items)
        try Fixtures.expectGolden(try dump(bench), "amazon-examples.txt")
        await bench.pool.close()
    }

    private func distinctItems() throws -> Int {
        var ids: Set<String> = []
        for example in try Fixtures.amazon("searchOrders", "getOrder") where example.status == "200" {
            for order in example.response["orders"].array ?? [example.response["order"]] {
                for item in order["orderItems"].array ?? [] { ids.insert(item["orderItemId"].text ?? "") }
            }
        }
        return ids.count
    }

    private func store(
        _ rows: MappedRows,
        _ kind: DocumentRecord.Kind,
        _ marketplace: AmazonMarketplace,
        _ bench: PullBench
    ) async throws {
        let scope = SourceScope(
            source: "amazon",
            accountID: "acme",
            scope: marketplace.id,
            country: marketplace.country
        )
        try await bench.pool.withConnection { connection in
            let types = try await ColumnTypes.read(on: connection)
            try await connection.withTransaction { connection in
                _ = try await MarketplaceStore(scope: scope, types: types)
                    .write(rows, kind, compareOnly: false, in: connection)
            }
        }
    }

    /// Amazon's catalogue, metrics and refusals.
    @Test(.enabled(if: Fixtures.areThere, "FIXTURES_DIR is not set: the vendors' examples are not beside this clone"))
    func theOtherAnswersAreUnderstood() throws {
        let us = try #require(AmazonMarketplace("US"))
        var named = 0
        for example in try Fixtures.amazon("searchCatalogItems", "getCatalogItem")
        where example.status == "200" {
            for item in example.response["items"].array ?? [example.response] {
                let asin = try #require(item["asin"].string)
                let listing = WireJSON.object([
                    "sku": .string("S"),
                    "summaries": .array([
                        .object([
                            "marketplaceId": .string(us.id), "asin": .string(asin),
                            "lastUpdatedDate": .string("2026-01-01T00:00:00Z"),
                        ])
                    ]),
                ])
                let mapping = AmazonMapping(marketplace: us, sellerID: "A")
                let product = try #require(try mapping.product(listing: listing, catalog: item))
                #expect(product.title != nil)
                #expect(product.brand != nil)
                named += 1
            }
        }
        #expect(named > 0)
        var days = 0
        for example in try Fixtures.amazon("getOrderMetrics") {
            for entry in example.response["payload"].array ?? [] {
                let control = try AmazonMapping.control(entry, currency: "USD")
                #expect(control.units >= 0)
                days += 1
            }
        }
        #expect(days >= 6)
    }

    @Test(.enabled(if: Fixtures.areThere, "FIXTURES_DIR is not set: the vendors' examples are not beside this clone"))
    func recordedRESTBodiesAreImported() async throws {
        let bench = try await PullBench()
        var archive = ShopifyArchive()
        let names = [
            "shop", "order", "orders", "refund", "product", "products", "payouts_transactions", "transaction",
            "payouts", "variants", "customer", "inventory_levels",
        ]
        for name in names { try archive.take(Fixtures.bytes("shopify/rest-python-api/\(name).json")) }
        let job = try ShopifyImportJob(
            archive: archive,
            accountID: "acme",
            country: "US",
            shop: archive.shopName ?? "apple.myshopify.com",
            currency: nil,
            zone: nil,
            target: bench.pool
        )
        let first = try await bench.run(job)
        #expect([.succeeded, .partial].contains(first.state), "\(String(describing: first.error))")
        try Fixtures.expectGolden(try dump(bench), "shopify-rest.txt")
        let again = try await bench.run(job)
        #expect(again.summary?["counts"]?["changed"]?.int == 0)
        await bench.pool.close()
    }
}
