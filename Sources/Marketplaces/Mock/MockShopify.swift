package import Foundation
package import HTTPClient
import Runtime
import Synchronization

/// Answers Shopify's GraphQL Admin API from the synthetic trade, in Shopify's own shape, with cost and throttling.
///
/// Knows the documents of `ShopifyQuery` by their operation name.
package final class MockShopify: HTTPTransport {
    let trade: MockTrade
    let now: @Sendable () -> Date
    /// Where bulk results are fetched from.
    let baseURL: String
    private let shop: String
    private let faults: MockFaults
    private let bulkFaults: Mutex<[BulkFault]>
    private let grants: MockGrants?
    private let tellsTime: Bool

    /// `tellsTime`: answers carry the mock's own time as `Date`.
    package init(
        trade: MockTrade,
        shop: String,
        faults: MockFaults = MockFaults(),
        bulkFaults: [BulkFault] = [],
        grants: MockGrants? = nil,
        baseURL: String = "https://mock.invalid",
        tellsTime: Bool = false,
        now: @escaping @Sendable () -> Date
    ) {
        self.bulkFaults = Mutex(bulkFaults)
        self.baseURL = baseURL
        self.grants = grants
        self.tellsTime = tellsTime
        self.trade = trade
        self.shop = shop
        self.faults = faults
        self.now = now
    }

    package func send(_ request: OutboundRequest, limits: ExchangeLimits) async throws -> OutboundResponse {
        try Task.checkCancellation()
        return respond(request)
    }

    package func download(
        _ request: OutboundRequest,
        to file: URL,
        limits: ExchangeLimits
    ) async throws -> OutboundResponse {
        try Task.checkCancellation()
        guard FileManager.default.createFile(atPath: file.path(), contents: nil) else {
            throw TallyError(.unknown, during: "mock.download", "the file cannot be made")
        }
        let handle = try FileHandle(forWritingTo: file)
        defer { try? handle.close() }
        let isKnown = bulkResult(request.url.lastPathComponent) { try? handle.write(contentsOf: Data($0)) }
        return OutboundResponse(status: isKnown ? 200 : 404)
    }

    func nextBulkFault() -> BulkFault? { bulkFaults.withLock { $0.isEmpty ? nil : $0.removeFirst() } }

    /// One exchange. A token that is missing or revoked is answered with 401, as the faults say with others.
    package func respond(_ request: OutboundRequest) -> OutboundResponse {
        var headers = ["Content-Type": "application/json", "X-Shopify-API-Version": ShopifySettings.version]
        if tellsTime { headers["Date"] = HTTPDate.text(now()) }
        if request.url.path().hasPrefix("/bulk-of-the-mock/") {
            var body: [UInt8] = []
            let isKnown = bulkResult(request.url.lastPathComponent) { body += $0 }
            return OutboundResponse(status: isKnown ? 200 : 404, body: body)
        }
        if let grants, request.url.path().hasSuffix("/oauth/access_token") { return grants.respond(request) }
        let token = request.secretHeaders["X-Shopify-Access-Token"]?.expose { $0 }
        guard let token, !token.isEmpty, token != "revoked", grants?.admits(token) ?? true else {
            return OutboundResponse(status: 401, headers: headers, body: Array(#"{"errors":"unauthorized"}"#.utf8))
        }
        if let fault = faults.next() { return fault.response(headers) }
        guard let body = request.body, let asked = try? WireJSON(parsing: body),
            let query = asked["operationName"].string.flatMap(ShopifyQuery.init)
        else { return OutboundResponse(status: 400, headers: headers) }
        let size = asked["variables"]["first"].int ?? asked["variables"]["ids"].array?.count ?? 1
        let cost = query.estimate(first: size)
        guard let level = faults.spend(cost, at: now()) else {
            let text = """
                {"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":\
                {"requestedQueryCost":\(Int(cost)),"actualQueryCost":null,\
                "throttleStatus":\(faults.status(at: now()))}}}
                """
            return OutboundResponse(status: 200, headers: headers, body: Array(text.utf8))
        }
        let text = """
            {"data":\(answer(query, asked["variables"])),"extensions":{"cost":{"requestedQueryCost":\(Int(cost)),\
            "actualQueryCost":\(Int(cost)),"throttleStatus":\(level)}}}
            """
        return OutboundResponse(status: 200, headers: headers, body: Array(text.utf8))
    }

    private func answer(_ query: ShopifyQuery, _ variables: WireJSON) -> String {
        let page = MockPage(variables)
        let now = now()
        switch query {
        case .shop:
            return """
                {"shop":{"id":"gid://shopify/Shop/1","myshopifyDomain":"\(shop)","currencyCode":"\(trade.currency)",\
                "ianaTimezone":"\(trade.zone.name)"}}
                """
        case .products: return products(page, now)
        case .variants: return variants(page, now)
        case .orders: return orders(page, now, "orders") { self.order($0) }
        case .fees: return orders(page, now, "orders") { self.fees($0) }
        case .balance: return balance(page, now)
        case .bulkRun: return bulkRun(variables["query"].string ?? "")
        case .bulkState: return bulkState(variables["id"].string ?? "")
        case .ordersByID, .productsByID:
            let ids = (variables["ids"].array ?? []).compactMap { $0.string }
            return "{\"nodes\":[\(ids.map { object($0, now) ?? "null" }.joined(separator: ","))]}"
        case .variantsOfProduct, .linesOfOrder, .linesOfRefund, .refundsOfOrder, .transactionsOfOrder, .returnsOfOrder,
            .linesOfReturn:
            return "{}"
        }
    }

    /// One object by its id; nil when there is none.
    private func object(_ id: String, _ now: Date) -> String? {
        guard let number = id.split(separator: "/").last.flatMap({ Int($0) }), number > 0 else { return nil }
        if id.contains("/Order/") { return trade.order(number - 1, at: now).map { order($0) } }
        guard id.contains("/Product/"), number <= trade.products(at: now) else { return nil }
        return product(number - 1, now)?.text
    }

    // MARK: Objects

    private func text(_ value: String) -> String { JSONValue.string(value).text }
    private func bag(_ cents: Int) -> String {
        """
        {"shopMoney":{"amount":"\(MockTrade.money(cents))","currencyCode":"\(trade.currency)"}}
        """
    }
    private func plain(_ cents: Int) -> String {
        """
        {"amount":"\(MockTrade.money(cents))","currencyCode":"\(trade.currency)"}
        """
    }
    private func variantID(_ variant: MockTrade.Variant) -> String {
        "gid://shopify/ProductVariant/\(variant.product * 10 + variant.number + 1)"
    }

    func productFields(_ variant: MockTrade.Variant) -> String {
        """
        "id":"gid://shopify/Product/\(variant.product + 1)","title":\(text(variant.title)),\
        "vendor":\(text(variant.brand)),"productType":\(text(variant.category)),"status":"ACTIVE",\
        "handle":"ware-\(variant.product)","onlineStoreUrl":null,"createdAt":"\(WireTime.text(variant.createdAt))",\
        "updatedAt":"\(WireTime.text(variant.updatedAt))"
        """
    }

    func variantFields(_ variant: MockTrade.Variant) -> String {
        """
        "id":"\(variantID(variant))","sku":"\(variant.sku)","barcode":null,"title":"Size \(variant.number)",\
        "price":"\(MockTrade.money(variant.priceCents))","createdAt":"\(WireTime.text(variant.createdAt))",\
        "updatedAt":"\(WireTime.text(variant.updatedAt))",\
        "inventoryItem":{"unitCost":\(plain(variant.costCents))}
        """
    }

    func orderFields(_ order: MockTrade.Order) -> String {
        """
        "id":"gid://shopify/Order/\(order.number + 1)","createdAt":"\(WireTime.text(order.placedAt))",\
        "processedAt":"\(WireTime.text(order.placedAt))","updatedAt":"\(WireTime.text(order.updatedAt))",\
        "cancelledAt":\(order.cancelledAt.map { "\"\(WireTime.text($0))\"" } ?? "null"),"test":false,\
        "displayFinancialStatus":"PAID","returnStatus":"\(order.returnStatus)"
        """
    }

    func lineFields(_ line: MockTrade.Line, of order: MockTrade.Order) -> String {
        """
        "id":"gid://shopify/LineItem/\((order.number + 1) * 10 + line.number)","quantity":\(line.units),\
        "sku":"\(line.variant.sku)","title":\(text(line.variant.title)),\
        "originalTotalSet":\(bag(line.grossCents)),"discountAllocations":[\
        \(line.discountCents == 0 ? "" : "{\"allocatedAmountSet\":\(bag(line.discountCents))}")],\
        "variant":{"id":"\(variantID(line.variant))","inventoryItem":{"unitCost":\(plain(line.variant.costCents))}}
        """
    }

    private func order(_ order: MockTrade.Order) -> String {
        let id = order.number + 1
        let lines = order.lines.map { "{\(lineFields($0, of: order))}" }
        let refunds = order.lines.filter { $0.refundedUnits > 0 }.map { line in
            """
            {"id":"gid://shopify/Refund/\(id * 10 + line.number)","refundLineItems":{"pageInfo":\
            {"hasNextPage":false,"endCursor":null},"nodes":[{"quantity":\(line.refundedUnits),"restockType":"RETURN",\
            "subtotalSet":\(bag(line.refundedCents)),"lineItem":{"id":"gid://shopify/LineItem/\
            \(id * 10 + line.number)"}}]}}
            """
        }
        return """
            {\(orderFields(order)),"lineItems":{"pageInfo":{"hasNextPage":false,"endCursor":null},\
            "nodes":[\(lines.joined(separator: ","))]},"refunds":[\(refunds.joined(separator: ","))],\
            "returns":\(returns(order))}
            """
    }

    func fees(_ order: MockTrade.Order) -> String {
        let id = order.number + 1
        let transaction = """
            {"id":"gid://shopify/OrderTransaction/\(id)","status":"SUCCESS","test":false,\
            "processedAt":"\(WireTime.text(order.placedAt.addingTimeInterval(60)))",\
            "createdAt":"\(WireTime.text(order.placedAt))","fees":[{"id":"gid://shopify/TransactionFee/\(id)",\
            "type":"processing_fee","amount":\(plain(order.feeCents)),"taxAmount":\(plain(0))}]}
            """
        return """
            {"id":"gid://shopify/Order/\(id)","updatedAt":"\(WireTime.text(order.updatedAt))","test":false,\
            "transactions":[\(order.feeCents > 0 ? transaction : "")]}
            """
    }

    // MARK: Connections

    private func connection(_ name: String, _ nodes: [String], end: Int?, more: Bool) -> String {
        """
        {"\(name)":{"pageInfo":{"hasNextPage":\(more),"endCursor":\(end.map { "\"\($0)\"" } ?? "null")},\
        "nodes":[\(nodes.joined(separator: ","))]}}
        """
    }

    private func product(_ number: Int, _ now: Date) -> (text: String, updatedAt: Date)? {
        let variants = (0..<trade.variantCount(of: number)).map { trade.variant($0, of: number, at: now) }
        guard let main = variants.max(by: { $0.updatedAt < $1.updatedAt }) else { return nil }
        let text = """
            {\(productFields(main)),"variants":{"pageInfo":{"hasNextPage":false,"endCursor":null},"nodes":[\
            \(variants.map { "{\(variantFields($0))}" }.joined(separator: ","))]}}
            """
        return (text, main.updatedAt)
    }

    private func products(_ page: MockPage, _ now: Date) -> String {
        var nodes: [String] = []
        var at = page.after
        let count = trade.products(at: now)
        while at < count, nodes.count < page.first {
            if let product = product(at, now), page.holds(product.updatedAt) { nodes.append(product.text) }
            at += 1
        }
        return connection("products", nodes, end: at, more: at < count)
    }

    private func variants(_ page: MockPage, _ now: Date) -> String {
        var nodes: [String] = []
        var at = page.after
        let count = trade.products(at: now)
        while at < count, nodes.count < max(1, page.first - 3) {
            let variants = (0..<trade.variantCount(of: at)).map { trade.variant($0, of: at, at: now) }
            if let main = variants.max(by: { $0.updatedAt < $1.updatedAt }) {
                nodes += variants.filter { page.holds($0.updatedAt) }
                    .map { "{\(variantFields($0)),\"product\":{\(productFields(main))}}" }
            }
            at += 1
        }
        return connection("productVariants", nodes, end: at, more: at < count)
    }

    /// Cursors are order numbers; an order that changes meanwhile keeps its place.
    private func orders(_ page: MockPage, _ now: Date, _ name: String, _ node: (MockTrade.Order) -> String) -> String {
        var nodes: [String] = []
        let early = page.since.map { $0.addingTimeInterval(-MockTrade.changesFor).timeIntervalSince(trade.epoch) } ?? 0
        var at = max(page.after, Int(early / Double(trade.orderEvery)))
        let count = trade.orders(at: now)
        while at < count, nodes.count < page.first {
            if let order = trade.order(at, at: now), page.holds(order.updatedAt) { nodes.append(node(order)) }
            at += 1
        }
        return connection(name, nodes, end: at, more: at < count)
    }

    /// Every fee of this shop belongs to an order.
    private func balance(_ page: MockPage, _ now: Date) -> String {
        "{\"shopifyPaymentsAccount\":" + connection("balanceTransactions", [], end: nil, more: false) + "}"
    }
}

/// What a page of the mock was asked for.
struct MockPage {
    let first: Int
    let after: Int
    let since: Date?
    let until: Date?

    init(_ variables: WireJSON) {
        first = max(1, variables["first"].int ?? 50)
        after = variables["after"].int ?? 0
        let filter = variables["query"].string ?? ""
        since = Self.bound(">='", filter)
        until = Self.bound("<='", filter)
    }

    private static func bound(_ mark: String, _ filter: String) -> Date? {
        guard let range = filter.range(of: mark) else { return nil }
        return WireTime.instant(String(filter[range.upperBound...].prefix { $0 != "'" }))
    }

    func holds(_ instant: Date) -> Bool {
        (since.map { instant >= $0 } ?? true) && (until.map { instant <= $0 } ?? true)
    }
}
