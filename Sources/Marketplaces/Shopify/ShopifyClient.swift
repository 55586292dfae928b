import Engine
package import Foundation
package import HTTPClient
package import Logging
package import Runtime
import Synchronization
import Telemetry

/// How a shop is reached.
package struct ShopifySettings: Sendable {
    /// The version that queries are written for. A stable version lives for twelve months.
    package static let version = "2026-04"
    package static let versionEnds = Date(timeIntervalSince1970: 1_806_598_800)

    /// `example.myshopify.com`.
    package let shop: String
    package let baseURL: URL
    /// Scopes the rate limit: Shopify counts per app and shop.
    package let application: String

    /// nil when `shop` is no host name. `api` replaces the shop's own address, for a mock.
    package init?(shop: String, application: String = "", api: URL? = nil) {
        let host = shop.contains(".") ? shop.lowercased() : "\(shop.lowercased()).myshopify.com"
        let allowed = host.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x2E
        }
        guard allowed, !host.hasPrefix("."), let own = URL(string: "https://\(host)") else { return nil }
        self.shop = host
        self.application = application
        baseURL = api ?? own
    }
}

/// Sends GraphQL to one shop: paced by cost, with a token that is renewed, every answer checked twice.
package final class ShopifyClient: Sendable {
    private struct State {
        var cost: [ShopifyQuery: Double] = [:]
        var pageSize: [ShopifyQuery: Int] = [:]
        var hasWarned = false
    }

    package let settings: ShopifySettings
    private let transport: any HTTPTransport
    private let tokens: any AccessTokens
    private let throttle: Throttle
    private let logger: Logger
    private let state = Mutex(State())
    package let clock: VendorClock
    private let allowance = RateAllowance(perSecond: 100, burst: 1_000)

    package init(
        settings: ShopifySettings,
        transport: any HTTPTransport,
        tokens: any AccessTokens,
        throttle: Throttle,
        clock: VendorClock = VendorClock(),
        logger: Logger
    ) {
        self.clock = clock
        self.settings = settings
        self.transport = transport
        self.tokens = tokens
        self.throttle = throttle
        self.logger = logger
    }

    private var bucket: String { "shopify:\(settings.shop):\(settings.application)" }

    /// How many records a page of the query, or a request by id, may hold: fewer after Shopify found one too dear.
    func pageSize(_ query: ShopifyQuery) -> Int {
        if let known = state.withLock({ $0.pageSize[query] }) { return known }
        return switch query {
        case .variants, .balance: 250
        case .ordersByID, .productsByID: 25
        default: 40
        }
    }

    /// The `data` of an answer without errors.
    ///
    /// Throws `.serverBusy` when throttled or failing (retried), `.credentialsRejected`, `.permissionDenied` naming the
    /// scope to grant, `.schemaMismatch` when the pinned version is no longer served.
    package func send(_ query: ShopifyQuery, _ variables: [String: JSONValue]) async throws -> WireJSON {
        let first = variables["first"]?.int ?? variables["ids"]?.array?.count ?? 1
        let cost = state.withLock { $0.cost[query] } ?? query.estimate(first: first)
        try await throttle.pass(bucket, cost: cost, allowance: allowance, stage: "shopify \(settings.shop)")
        let response = try await tokens.sending { token in
            var request = OutboundRequest(
                .post,
                settings.baseURL.appending(path: "admin/api/\(ShopifySettings.version)/graphql.json")
            )
            request.headers = ["Content-Type": "application/json", "Accept": "application/json"]
            request.secretHeaders = ["X-Shopify-Access-Token": token]
            let body: JSONValue = [
                "query": .string(query.document), "operationName": .string(query.rawValue),
                "variables": .object(variables),
            ]
            request.body = Array(body.text.utf8)
            let asked = request
            return try await clock.timing { try await transport.send(asked) }
        }
        try await check(response)
        let answer = try WireJSON(parsing: response.body)
        try await observe(answer, query)
        try refuseErrors(answer, query, first: first)
        guard answer["data"].object != nil else {
            throw TallyError(.sourceUnreachable, during: "shopify.answer", "the answer has neither data nor errors")
        }
        return answer["data"]
    }

    /// Fetches the result of a bulk operation: its address carries its own permission, and goes without our token.
    func download(_ url: URL, to file: URL) async throws {
        let limits = ExchangeLimits(idle: .seconds(60), total: .seconds(1_800), bodyMax: 8 << 30)
        let response = try await transport.download(OutboundRequest(.get, url), to: file, limits: limits)
        if let failure = VendorAnswer.failure(response, vendor: "Shopify", remedy: Self.remedy) { throw failure }
    }

    /// Waits for something Shopify is making.
    func wait(_ duration: Duration, for what: String) async throws {
        try await throttle.wait(duration, stage: "shopify \(what)")
    }

    private func check(_ response: OutboundResponse) async throws {
        if let failure = VendorAnswer.failure(response, vendor: "Shopify", remedy: Self.remedy) {
            if response.status == 429 {
                let pause = response.retryAfter(now: Date()) ?? .seconds(2)
                try await throttle.observe(bucket, RateObservation(pause: pause), allowance: allowance)
            }
            throw failure
        }
        if let served = response.headers["x-shopify-api-version"], served != ShopifySettings.version {
            throw TallyError(
                .schemaMismatch,
                during: "shopify.version",
                "Shopify serves API version \(served) instead of \(ShopifySettings.version)",
                remedy: "The version has been retired: install a newer Tallyman."
            )
        }
        let isEnding = clock.now().addingTimeInterval(90 * 86_400) > ShopifySettings.versionEnds
        if isEnding,
            state.withLock({ state in
                defer { state.hasWarned = true }
                return !state.hasWarned
            })
        {
            logger.event(
                .warning,
                "the pinned Shopify API version retires within 90 days",
                [.version: ShopifySettings.version, .instant: WireTime.text(ShopifySettings.versionEnds)]
            )
        }
    }

    private static func remedy(_ status: Int) -> String {
        switch status {
        case 401: "Install the app in the shop again, and set SHOPIFY_ACCESS_TOKEN or the client's id and secret."
        case 402, 423: "The shop is frozen or locked; its owner must settle that with Shopify."
        case 404: "Check SHOPIFY_SHOP: there is no such shop."
        default:
            "Grant the app read_products, read_inventory, read_orders, read_returns and "
                + "read_shopify_payments_payouts."
        }
    }

    /// The shop's own word about cost and bucket replaces what we assumed.
    private func observe(_ answer: WireJSON, _ query: ShopifyQuery) async throws {
        let cost = answer["extensions"]["cost"]
        if let requested = cost["requestedQueryCost"].text.flatMap({ Double($0) }) {
            state.withLock { $0.cost[query] = requested }
        }
        let status = cost["throttleStatus"]
        guard let available = status["currentlyAvailable"].text.flatMap({ Double($0) }) else { return }
        let observation = RateObservation(
            perSecond: status["restoreRate"].text.flatMap { Double($0) },
            burst: status["maximumAvailable"].text.flatMap { Double($0) },
            available: available
        )
        try await throttle.observe(bucket, observation, allowance: allowance)
    }

    private func refuseErrors(_ answer: WireJSON, _ query: ShopifyQuery, first: Int) throws {
        guard let errors = answer["errors"].array, !errors.isEmpty else {
            if answer["errors"].isNull { return }
            throw TallyError(.sourceUnreachable, during: "shopify.answer", "Shopify answers with an error of no code")
        }
        let codes = Set(errors.compactMap { $0["extensions"]["code"].string })
        if codes.contains("THROTTLED") {
            throw TallyError(.serverBusy, during: "shopify.answer", "Shopify throttles this app")
        }
        if codes.contains("MAX_COST_EXCEEDED") {
            state.withLock {
                $0.pageSize[query] = max(1, first / 2)
                $0.cost[query] = nil
            }
            guard first > 1 else {
                throw TallyError(.limitExceeded, during: "shopify.answer", "one record is too dear for Shopify")
            }
            throw TallyError(.serverBusy, during: "shopify.answer", "a page was too dear and is asked for smaller")
        }
        if codes.contains("INTERNAL_SERVER_ERROR") || codes.contains("TIMEOUT") {
            throw TallyError(.serverBusy, during: "shopify.answer", "Shopify failed on its side")
        }
        if codes.contains("ACCESS_DENIED") {
            throw TallyError(
                .permissionDenied,
                during: "shopify.answer",
                "Shopify denies access to what \(query.rawValue) reads",
                remedy: Self.remedy(403)
            )
        }
        throw TallyError(
            .protocolViolation,
            during: "shopify.answer",
            "Shopify refuses \(query.rawValue)\(codes.isEmpty ? "" : " with \(codes.sorted().joined(separator: ", "))")"
        )
    }
}
