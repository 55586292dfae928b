package import Engine
package import Foundation
package import HTTPClient
package import Runtime

/// The operations that are called, each with the pace Amazon grants until it says otherwise.
package enum AmazonOperation: String, Sendable, CaseIterable {
    case searchOrders, listTransactions, searchListingsItems, searchCatalogItems, getOrderMetrics
    case createReport, getReport, getReportDocument

    package var allowance: RateAllowance {
        switch self {
        case .searchOrders: RateAllowance(perSecond: 0.0056, burst: 20)
        case .listTransactions: RateAllowance(perSecond: 0.5, burst: 10)
        case .searchListingsItems: RateAllowance(perSecond: 5, burst: 5)
        case .searchCatalogItems: RateAllowance(perSecond: 2, burst: 2)
        case .getOrderMetrics: RateAllowance(perSecond: 0.5, burst: 15)
        case .createReport, .getReportDocument: RateAllowance(perSecond: 0.0167, burst: 15)
        case .getReport: RateAllowance(perSecond: 2, burst: 15)
        }
    }

    package func path(seller: String) -> String {
        switch self {
        case .searchOrders: "/orders/2026-01-01/orders"
        case .listTransactions: "/finances/2024-06-19/transactions"
        case .searchListingsItems: "/listings/2021-08-01/items/\(seller)"
        case .searchCatalogItems: "/catalog/2022-04-01/items"
        case .getOrderMetrics: "/sales/v1/orderMetrics"
        case .createReport, .getReport: "/reports/2021-06-30/reports"
        case .getReportDocument: "/reports/2021-06-30/documents"
        }
    }
}

/// Calls the Selling Partner API for one seller: LWA token, no request signing.
package final class AmazonClient: Sendable {
    package let sellerID: String
    private let baseURL: URL
    private let application: String
    private let transport: any HTTPTransport
    private let tokens: any AccessTokens
    private let throttle: Throttle
    package let clock: VendorClock

    /// `application` scopes the rate limit: Amazon counts per seller and application.
    package init(
        baseURL: URL,
        sellerID: String,
        application: String,
        transport: any HTTPTransport,
        tokens: any AccessTokens,
        throttle: Throttle,
        clock: VendorClock = VendorClock()
    ) {
        self.clock = clock
        self.baseURL = baseURL
        self.sellerID = sellerID
        self.application = application
        self.transport = transport
        self.tokens = tokens
        self.throttle = throttle
    }

    /// The answer's JSON; `id` is added to the path, and with a `body` it is posted.
    ///
    /// Throws `.serverBusy` for a spent quota (retried at the pace the bucket then allows), `PageTokenExpired` for a
    /// refused token when `hasPageToken`, `.credentialsRejected` or `.permissionDenied` with the role to grant.
    package func get(
        _ operation: AmazonOperation,
        _ query: [(String, String)] = [],
        id: String? = nil,
        body: JSONValue? = nil,
        hasPageToken: Bool = false
    ) async throws -> WireJSON {
        let bucket = "amazon:\(operation.rawValue):\(sellerID):\(application)"
        let allowance = operation.allowance
        try await throttle.pass(bucket, cost: 1, allowance: allowance, stage: "amazon \(operation.rawValue)")
        let url = try url(operation, id, query)
        let response = try await tokens.sending(refusal: Self.isTokenRefused) { token in
            var headers = ["Accept": "application/json"]
            if body != nil { headers["Content-Type"] = "application/json" }
            let request = OutboundRequest(
                body == nil ? .get : .post,
                url,
                headers: headers,
                secretHeaders: ["x-amz-access-token": token],
                body: body.map { Array($0.text.utf8) }
            )
            return try await clock.timing { try await transport.send(request) }
        }
        try await heed(response, bucket, allowance)
        if response.status == 400, hasPageToken { throw PageTokenExpired() }
        if Self.isTokenRefused(response) {
            throw TallyError(
                .credentialsRejected,
                during: "amazon.answer",
                "Amazon refuses the access token",
                remedy: Self.remedy(401)
            )
        }
        if let failure = VendorAnswer.failure(response, vendor: "Amazon", remedy: Self.remedy) { throw failure }
        return try WireJSON(parsing: response.body)
    }

    /// Fetches a report's document: its address carries its own permission, and goes without our token.
    package func download(_ url: URL, to file: URL) async throws {
        let limits = ExchangeLimits(idle: .seconds(60), total: .seconds(900), bodyMax: 1 << 30)
        let response = try await transport.download(OutboundRequest(.get, url), to: file, limits: limits)
        if let failure = VendorAnswer.failure(response, vendor: "Amazon", remedy: Self.remedy) { throw failure }
    }

    /// Waits for something Amazon is making.
    package func wait(_ duration: Duration, for what: String) async throws {
        try await throttle.wait(duration, stage: "amazon \(what)")
    }

    private func heed(_ response: OutboundResponse, _ bucket: String, _ allowance: RateAllowance) async throws {
        if let rate = response.headers["x-amzn-ratelimit-limit"].flatMap({ Double($0) }), rate > 0 {
            try await throttle.observe(bucket, RateObservation(perSecond: rate), allowance: allowance)
        }
        if response.status == 429 {
            let pause = response.retryAfter(now: Date()) ?? .seconds(1)
            try await throttle.observe(
                bucket,
                RateObservation(available: 0, pause: pause),
                allowance: allowance
            )
        }
    }

    private func url(_ operation: AmazonOperation, _ id: String?, _ query: [(String, String)]) throws -> URL {
        let path = operation.path(seller: sellerID) + (id.map { "/\($0)" } ?? "")
        var parts = URLComponents(url: baseURL.appending(path: path), resolvingAgainstBaseURL: false)
        // Everything but unreserved characters is encoded: a plus would be read as a space.
        var allowed = CharacterSet.alphanumerics
        allowed.insert(charactersIn: "-._~")
        let pairs = query.map { name, value in
            "\(name)=\(value.addingPercentEncoding(withAllowedCharacters: allowed) ?? "")"
        }
        if !pairs.isEmpty { parts?.percentEncodedQuery = pairs.joined(separator: "&") }
        guard let url = parts?.url else {
            throw TallyError(.settingsInvalid, during: "amazon.request", "the API's address is no URL")
        }
        return url
    }

    /// An expired token is a 403 with code `Unauthorized`; so is a missing role, which a new token does not mend.
    private static func isTokenRefused(_ response: OutboundResponse) -> Bool {
        guard response.status == 401 || response.status == 403 else { return false }
        let codes = (try? WireJSON(parsing: response.body))?["errors"].array?.compactMap { $0["code"].string } ?? []
        return response.status == 401 || codes.contains("Unauthorized")
    }

    private static func remedy(_ status: Int) -> String {
        switch status {
        case 401:
            "Authorise the application again in Seller Central and set AMAZON_REFRESH_TOKEN to the new token; it "
                + "needs the roles Product Listing, Inventory and Order Tracking, and Finance and Accounting."
        case 404: "Check AMAZON_REGION and AMAZON_SELLER_ID."
        default:
            "Grant the application the roles Product Listing, Inventory and Order Tracking, and Finance and "
                + "Accounting, then authorise it again."
        }
    }
}
