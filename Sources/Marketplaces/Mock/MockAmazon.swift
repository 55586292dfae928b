package import Foundation
package import HTTPClient
import Runtime
import Synchronization

/// Answers the Selling Partner API from the synthetic trade, in Amazon's own shape: orders, finances, listings,
/// catalogue, order metrics and the listings report.
package final class MockAmazon: HTTPTransport {
    let trades: [String: MockTrade]
    let sellerID: String
    private let now: @Sendable () -> Date
    private let faults: MockFaults
    private let baseURL: String
    private let grants: MockGrants?
    private let tellsTime: Bool
    /// The largest number of results a listings search admits to; fewer than Amazon's in tests.
    let listingsPageMax: Int

    /// `trades` by marketplace id; `baseURL` is where documents are fetched from. `tellsTime`: answers carry the mock's
    /// own time as `Date`.
    package init(
        trades: [String: MockTrade],
        sellerID: String,
        faults: MockFaults = MockFaults(),
        grants: MockGrants? = nil,
        baseURL: String = "https://mock.invalid",
        listingsPageMax: Int = 20,
        tellsTime: Bool = false,
        now: @escaping @Sendable () -> Date
    ) {
        self.trades = trades
        self.sellerID = sellerID
        self.faults = faults
        self.baseURL = baseURL
        self.grants = grants
        self.tellsTime = tellsTime
        self.listingsPageMax = listingsPageMax
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
        let answer = respond(request)
        guard answer.status == 200 else { return answer }
        try Data(answer.body).write(to: file)
        return OutboundResponse(status: 200, headers: answer.headers)
    }

    /// One exchange; documents need no token.
    package func respond(_ request: OutboundRequest) -> OutboundResponse {
        var headers = ["Content-Type": "application/json", "x-amzn-RequestId": "mock"]
        if tellsTime { headers["Date"] = HTTPDate.text(now()) }
        let asked = MockAmazonRequest(request, now: now())
        if asked.path.hasPrefix("/documents-of-the-mock/") { return document(asked, headers) }
        if let grants, asked.path == "/auth/o2/token" { return grants.respond(request) }
        let token = request.secretHeaders["x-amz-access-token"]?.expose { $0 }
        guard let token, !token.isEmpty, token != "revoked", grants?.admits(token) ?? true else {
            return Self.refusal(403, "Unauthorized", headers)
        }
        if let fault = faults.next() {
            return fault == .pageToken
                ? asked.token == nil ? answer(asked, headers) : Self.refusal(400, "InvalidInput", headers)
                : fault.response(headers)
        }
        guard let rate = faults.spendOne(asked.path) else {
            return Self.refusal(429, "QuotaExceeded", headers)
        }
        headers["x-amzn-RateLimit-Limit"] = "\(rate)"
        return answer(asked, headers)
    }

    static func refusal(_ status: Int, _ code: String, _ headers: [String: String]) -> OutboundResponse {
        OutboundResponse(
            status: status,
            headers: headers,
            body: Array(#"{"errors":[{"code":"\#(code)","message":"refused","details":""}]}"#.utf8)
        )
    }

    private func answer(_ asked: MockAmazonRequest, _ headers: [String: String]) -> OutboundResponse {
        let body: String?
        switch asked.path {
        case "/orders/2026-01-01/orders": body = orders(asked)
        case "/finances/2024-06-19/transactions": body = transactions(asked)
        case "/listings/2021-08-01/items/\(sellerID)": body = listings(asked)
        case "/catalog/2022-04-01/items": body = catalog(asked)
        case "/sales/v1/orderMetrics": body = metrics(asked)
        case "/reports/2021-06-30/reports":
            let marketplace = asked.body?["marketplaceIds"].array?.first?.string ?? ""
            return OutboundResponse(
                status: 202,
                headers: headers,
                body: Array("{\"reportId\":\"report-\(marketplace)\"}".utf8)
            )
        case let path where path.hasPrefix("/reports/2021-06-30/reports/"):
            let id = asked.last.replacing("report-", with: "document-")
            body = "{\"reportId\":\"\(asked.last)\",\"processingStatus\":\"DONE\",\"reportDocumentId\":\"\(id)\"}"
        case let path where path.hasPrefix("/reports/2021-06-30/documents/"):
            body = """
                {"reportDocumentId":"\(asked.last)","compressionAlgorithm":"GZIP",\
                "url":"\(baseURL)/documents-of-the-mock/\(asked.last)"}
                """
        default: return Self.refusal(404, "NotFound", headers)
        }
        guard let body else { return Self.refusal(400, "InvalidInput", headers) }
        return OutboundResponse(status: 200, headers: headers, body: Array(body.utf8))
    }

    private func document(_ asked: MockAmazonRequest, _ headers: [String: String]) -> OutboundResponse {
        guard let trade = trades[asked.last.replacing("document-", with: "")] else {
            return Self.refusal(404, "NotFound", headers)
        }
        var text = "item-name\titem-description\tlisting-id\tseller-sku\tprice\tasin1\tstatus\n"
        for product in 0..<trade.products(at: asked.now) {
            for number in 0..<trade.variantCount(of: product) {
                let variant = trade.variant(number, of: product, at: asked.now)
                text +=
                    "\(variant.title)\t\t\(variant.sku)-listing\t\(variant.sku)\t"
                    + "\(MockTrade.money(variant.priceCents))\t\(Self.asin(variant))\tActive\n"
            }
        }
        return OutboundResponse(status: 200, body: MockGzip.wrap(Array(text.utf8)))
    }

    static func asin(_ variant: MockTrade.Variant) -> String {
        let number = String(variant.product * 10 + variant.number)
        return "B0" + String(repeating: "0", count: max(0, 8 - number.count)) + number
    }
}

/// What a request to the mock asks for.
struct MockAmazonRequest {
    let path: String
    let now: Date
    let body: WireJSON?
    private let query: [String: String]

    init(_ request: OutboundRequest, now: Date) {
        path = request.url.path()
        self.now = now
        body = request.body.flatMap { try? WireJSON(parsing: $0) }
        let items = URLComponents(url: request.url, resolvingAgainstBaseURL: false)?.queryItems ?? []
        query = Dictionary(items.map { ($0.name, $0.value ?? "") }, uniquingKeysWith: { $1 })
    }

    var last: String { path.split(separator: "/").last.map(String.init) ?? "" }
    var marketplace: String { query["marketplaceIds"] ?? "" }
    subscript(_ name: String) -> String? { query[name] }
    func instant(_ name: String) -> Date? { query[name].flatMap(WireTime.instant) }

    /// The page token, whatever the operation calls it.
    var token: String? { query["paginationToken"] ?? query["nextToken"] ?? query["pageToken"] }

    /// Where a token points, when it was made for the same other parameters.
    var offset: Int? {
        guard let token else { return 0 }
        let parts = token.split(separator: "~")
        guard parts.count == 2, parts[1] == signature else { return nil }
        return Int(parts[0])
    }

    func token(at offset: Int) -> String { "\(offset)~\(signature)" }

    private var signature: String {
        let frozen = query.filter { !["paginationToken", "nextToken", "pageToken"].contains($0.key) }
        let text = frozen.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: "&")
        let hash = text.utf8.reduce(UInt64(14_695_981_039_346_656_037)) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
        return String(hash, radix: 36)
    }
}

/// Gzip without compression: stored blocks.
enum MockGzip {
    static func wrap(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255]
        var at = 0
        repeat {
            let end = min(at + 65_535, bytes.count)
            let length = UInt16(end - at)
            out.append(end == bytes.count ? 1 : 0)
            out += [UInt8(length & 255), UInt8(length >> 8), UInt8(~length & 255), UInt8(~length >> 8)]
            out += bytes[at..<end]
            at = end
        } while at < bytes.count
        let crc =
            bytes.reduce(UInt32.max) { sum, byte in
                (0..<8).reduce(sum ^ UInt32(byte)) { value, _ in
                    value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1
                }
            } ^ UInt32.max
        for number in [crc, UInt32(truncatingIfNeeded: bytes.count)] {
            out += (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) }
        }
        return out
    }
}
