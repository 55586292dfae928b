import Engine
import Foundation
import HTTPClient
import Marketplaces
import Runtime
import TestKit
import Testing

/// Lists that Shopify cuts to the length asked for, without a word: they are read whole, or refused.
@Suite struct LongListTests {
    private static func bag(_ amount: String) -> String {
        #"{"shopMoney":{"amount":"\#(amount)","currencyCode":"EUR"}}"#
    }
    private static let times = #""createdAt":"2026-02-01T10:00:00Z","updatedAt":"2026-02-01T10:00:00Z","test":false"#

    /// One order of 400 pieces, with so many refunds of one piece each and so many transactions of a fee of 0.10.
    private static func source(refunds: Int, transactions: Int) async throws -> ShopifySource {
        let mock = MockShopify(trade: PullBench.trade, shop: "example.myshopify.com", now: { PullBench.noon })
        let cutting = HookedTransport(mock: mock, instead: { try answer($0, refunds, transactions) })
        let client = ShopifyClient(
            settings: try #require(ShopifySettings(shop: "example")),
            transport: cutting,
            tokens: FixedToken(Secret("shpat_example")),
            throttle: Throttle(limits: LocalRateLimits(), progress: Progress(), budgetEnds: .distantFuture),
            logger: PullBench.silent
        )
        return try await ShopifySource(client: client, accountID: "acme", country: "DE")
    }

    private static func answer(_ request: OutboundRequest, _ refunds: Int, _ transactions: Int) throws
        -> OutboundResponse?
    {
        let body = try WireJSON(parsing: request.body ?? [])
        let document = body["query"].string ?? ""
        guard body["operationName"].string != "TallymanShop" else { return nil }
        let end = #""pageInfo":{"hasNextPage":false,"endCursor":null}"#
        let line = #"{\#(end),"nodes":[{"quantity":1,"subtotalSet":\#(bag("1.00")),"lineItem":{"id":"L1"}}]}"#
        if body["operationName"].string == "TallymanLinesOfRefund" {
            return HookedTransport.json(#"{"data":{"refund":{"refundLineItems":\#(line)}}}"#)
        }
        /// As Shopify does: no more than asked for, and not a word about the rest.
        func list(_ name: String, _ count: Int, _ node: (Int) -> String) -> String {
            guard let call = document.range(of: "\(name)(first: ") else { return "[]" }
            let asked = Int(document[call.upperBound...].prefix { $0.isNumber }) ?? 0
            return "[" + (0..<min(count, asked)).map(node).joined(separator: ",") + "]"
        }
        let refunded = list("refunds", refunds) { #"{"id":"R\#($0)","refundLineItems":\#(line)}"# }
        let paid = list("transactions", transactions) {
            """
            {"id":"T\($0)","status":"SUCCESS","test":false,\(times),"fees":[{"id":"F\($0)","type":"processing_fee",
            "amount":{"amount":"0.10","currencyCode":"EUR"},"taxAmount":null}]}
            """
        }
        let order = """
            {"id":"O1",\(times),"returnStatus":"NO_RETURN","lineItems":{\(end),"nodes":[{"id":"L1","quantity":400,
            "sku":"S","originalTotalSet":\(bag("400.00")),"variant":{"id":"V"}}]},"refunds":\(refunded),
            "returns":{\(end),"nodes":[]},"transactions":\(paid)}
            """
        let isOne = document.contains("order(id:")
        let data = isOne ? #"{"order":\#(order)}"# : #"{"orders":{\#(end),"nodes":[\#(order)]}}"#
        return HookedTransport.json(#"{"data":\#(data)}"#)
    }

    private static let window = PullWindow(since: Date(timeIntervalSince1970: 1_767_225_600), until: PullBench.noon)

    @Test(arguments: [9, 10, 12, 249])
    func everyRefundIsTakenBack(count: Int) async throws {
        let source = try await Self.source(refunds: count, transactions: 1)
        let page = try await source.page(.sales, Self.window, cursor: nil)
        #expect(page.rows.refused == [])
        let order = try #require(page.rows.documents.first)
        guard case .order(let line) = try #require(order.lines.first) else {
            Issue.record("no line of an order")
            return
        }
        #expect(line.unitsRefunded == count)
        #expect(line.refunded == Decimal(count))
    }

    @Test(arguments: [29, 30, 31, 249])
    func everyFeeIsCounted(count: Int) async throws {
        let source = try await Self.source(refunds: 0, transactions: count)
        let page = try await source.page(.fees, Self.window, cursor: nil)
        #expect(page.rows.refused == [])
        #expect(page.rows.documents.first?.lines.count == count)
    }

    /// What does not fit into the longest list that Shopify gives is refused, never cut.
    @Test func whatCannotBeReadWholeIsRefused() async throws {
        let source = try await Self.source(refunds: 251, transactions: 251)
        for pipeline in [Pipeline.sales, .fees] {
            let page = try await source.page(pipeline, Self.window, cursor: nil)
            #expect(page.rows.documents.isEmpty)
            #expect(page.rows.refused.map(\.key) == ["O1"])
        }
    }
}
