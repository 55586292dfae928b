import Engine
import Foundation
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// Recorded bodies of the older API, written by hand: the same code as the vendors' examples, in any clone.
@Suite struct ImportTests {
    private static let shop = """
        {"shop":{"currency":"USD","iana_timezone":"America/New_York","myshopify_domain":"old.myshopify.com"}}
        """
    private static let order = """
        {"orders":[{"id":1,"created_at":"2026-02-01T23:30:00-05:00","processed_at":"2026-02-01T23:30:00-05:00",
        "updated_at":"2026-02-03T10:00:00-05:00","cancelled_at":null,"test":false,"currency":"USD",
        "financial_status":"partially_refunded","line_items":[
        {"id":11,"quantity":3,"price":"10.00","sku":"A","title":"Tea","variant_id":7,
        "discount_allocations":[{"amount":"1.50"}]},
        {"id":12,"quantity":1,"price":"5.25","sku":"","title":"Gift","variant_id":null}]}]}
        """
    private static let refund = """
        {"refund":{"id":9,"order_id":1,"refund_line_items":[{"quantity":1,"line_item_id":11,"subtotal":9.5}]}}
        """
    private static let fees = """
        {"transactions":[{"id":5,"type":"charge","test":false,"currency":"USD","amount":"33.75","fee":"1.28",
        "source_order_id":1,"processed_at":"2026-02-02T00:10:00-05:00"},
        {"id":6,"type":"charge","test":true,"currency":"USD","amount":"1","fee":"1","source_order_id":null,
        "processed_at":"2026-02-02T00:10:00-05:00"}]}
        """

    @Test func ordersRefundsAndFeesBecomeRows() async throws {
        let bench = try await PullBench()
        var archive = ShopifyArchive()
        for body in [Self.shop, Self.order, Self.refund + "\n", Self.fees] { try archive.take(Array(body.utf8)) }
        let job = try ShopifyImportJob(
            archive: archive,
            accountID: "acme",
            country: "US",
            shop: "old",
            currency: nil,
            zone: nil,
            target: bench.pool
        )
        var dry = RunOptions()
        dry.dryRun = true
        let compared = try await bench.run(job, dry)
        #expect(compared.summary?["counts"]?["changed"]?.int == 3)
        #expect(try bench.psql("SELECT count(*) FROM sales_ts") == "0")
        let record = try await bench.run(job)
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        #expect(
            try bench.psql("SELECT product_code, ts AT TIME ZONE 'UTC', units_sold, revenue FROM sales_ts ORDER BY 1")
                == """
                custom|2026-02-01 05:00:00|1|5.25
                gid://shopify/ProductVariant/7|2026-02-01 05:00:00|2|19.0
                """
        )
        #expect(try bench.psql("SELECT fee_type, amount, currency_code FROM fees_ts") == "charge|1.28|USD")
        await bench.pool.close()
    }

    @Test func aRefundWithoutItsOrderIsADeadLetter() async throws {
        let bench = try await PullBench()
        var archive = ShopifyArchive()
        try archive.take(Array(Self.refund.utf8))
        let job = try ShopifyImportJob(
            archive: archive,
            accountID: "acme",
            country: "US",
            shop: "old",
            currency: "USD",
            zone: nil,
            target: bench.pool
        )
        let record = try await bench.run(job)
        #expect(record.state == .partial)
        #expect(try bench.psql("SELECT count(*) FROM etl.dead_letters") == "1")
        await bench.pool.close()
    }

    @Test func withoutACurrencyNothingIsStored() throws {
        var archive = ShopifyArchive()
        try archive.take(Array(#"{"products":[]}"#.utf8))
        #expect(throws: TallyError.self) { try archive.take(Array("<html>".utf8)) }
        let settled = archive
        #expect(settled.currency == nil)
    }
}
