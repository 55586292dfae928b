import ArgumentParser
import Foundation
import HTTPClient
import HTTPServer
import HTTPTypes
import Marketplaces
import Runtime

/// What the made-up shop and seller of `mock-api --marketplaces` are like.
struct MarketplaceMockOptions: ParsableArguments {
    static let port = 4_020

    @Option(name: .long, help: "Marketplace ids or countries of Amazon, with commas between.") var sellsIn = "US"
    @Option(name: .long, help: "Seconds between two orders of each marketplace.") var secondsPerOrder = 3_600
    @Option(name: .long, help: "Requests of 100 that go wrong in some way.") var faultPercent = 0
    @Option(name: .long, help: "Points, or calls, a second that are let through; without it nothing is throttled.")
    var rate: Double?
    @Option(name: .long, help: "What may be spent at once, with --rate.") var burst = 1_000.0

    func validate() throws {
        guard (1...31_536_000).contains(secondsPerOrder) else {
            throw ValidationError("--seconds-per-order must be 1 or more.")
        }
        guard (0...90).contains(faultPercent) else { throw ValidationError("--fault-percent must be from 0 to 90.") }
        guard rate ?? 1 > 0 else { throw ValidationError("--rate must be more than 0.") }
    }

    /// Routes in the shape of both APIs; `port` is where documents are fetched from.
    func router(port: Int) -> Router {
        let places = sellsIn.split(separator: ",").compactMap { AmazonMarketplace(String($0)) }
        let script = faultPercent
        let faults = {
            MockFaults(percent: script, perSecond: rate ?? 1_000_000, burst: rate == nil ? 1_000_000 : burst)
        }
        let base = "http://127.0.0.1:\(port)"
        let shopify = MockShopify(
            trade: MockTrade(orderEvery: secondsPerOrder),
            shop: "tally-demo.myshopify.com",
            faults: faults(),
            grants: nil,
            baseURL: base,
            now: { Date() }
        )
        let amazon = MockAmazon(
            trades: MockAmazon.trades(places, orderEvery: secondsPerOrder),
            sellerID: "A0MOCKSELLER",
            faults: faults(),
            baseURL: base,
            now: { Date() }
        )
        let grants = MockGrants()
        var router = Router()
        for path in ["/admin/oauth/access_token", "/auth/o2/token"] {
            router.on(.post, path) { request, _ in try Self.answer(grants.respond(Self.outbound(request, base))) }
        }
        for (method, path) in [
            (HTTPRequest.Method.post, "/admin/api/{version}/graphql.json"), (.get, "/bulk-of-the-mock/{id}"),
        ] {
            router.on(method, path) { request, _ in try Self.answer(shopify.respond(Self.outbound(request, base))) }
        }
        for (method, path) in Self.amazonPaths {
            router.on(method, path) { request, _ in try Self.answer(amazon.respond(Self.outbound(request, base))) }
        }
        return router
    }

    private static let amazonPaths: [(HTTPRequest.Method, String)] = [
        (.get, "/orders/2026-01-01/orders"), (.get, "/finances/2024-06-19/transactions"),
        (.get, "/listings/2021-08-01/items/{seller}"), (.get, "/catalog/2022-04-01/items"),
        (.get, "/sales/v1/orderMetrics"), (.post, "/reports/2021-06-30/reports"),
        (.get, "/reports/2021-06-30/reports/{id}"), (.get, "/reports/2021-06-30/documents/{id}"),
        (.get, "/documents-of-the-mock/{id}"),
    ]

    /// The request as the mocks take it.
    private static func outbound(_ request: ServerRequest, _ base: String) throws -> OutboundRequest {
        var parts = URLComponents(string: base)
        parts?.path = "/" + request.path.joined(separator: "/")
        if !request.query.isEmpty {
            parts?.queryItems = request.query.map { URLQueryItem(name: $0.0, value: $0.1) }
        }
        guard let url = parts?.url else {
            throw TallyError(.requestInvalid, during: "mock.request", "the address is no URL")
        }
        var secrets: [String: Secret<String>] = [:]
        for name in ["X-Shopify-Access-Token", "x-amz-access-token"] {
            if let field = HTTPField.Name(name), let value = request.headers[field] { secrets[name] = Secret(value) }
        }
        let method: OutboundRequest.Method = request.method == .post ? .post : .get
        return OutboundRequest(method, url, secretHeaders: secrets, body: request.body.isEmpty ? nil : request.body)
    }

    private static func answer(_ response: OutboundResponse) throws -> ServerResponse {
        var headers = HTTPFields()
        for (name, value) in response.headers {
            if let field = HTTPField.Name(name) { headers[field] = value }
        }
        return ServerResponse(status: .init(code: response.status), headers: headers, body: .bytes(response.body))
    }
}
