import Foundation
import HTTPClient
import Marketplaces

/// A mock, with some requests answered otherwise and some answers changed on their way.
struct HookedTransport: HTTPTransport {
    let mock: any HTTPTransport
    /// What is answered instead; nil asks the mock.
    var instead: @Sendable (OutboundRequest) throws -> OutboundResponse? = { _ in nil }
    /// Changes the text of an answer.
    var change: @Sendable (OutboundRequest, inout String) -> Void = { _, _ in }

    func send(_ request: OutboundRequest, limits: ExchangeLimits) async throws -> OutboundResponse {
        if let answer = try instead(request) { return answer }
        let answer = try await mock.send(request, limits: limits)
        var text = String(decoding: answer.body, as: UTF8.self)
        change(request, &text)
        return OutboundResponse(status: answer.status, headers: answer.headers, body: Array(text.utf8))
    }

    func download(_ request: OutboundRequest, to file: URL, limits: ExchangeLimits) async throws -> OutboundResponse {
        try await mock.download(request, to: file, limits: limits)
    }

    /// The operation of a request to Shopify; empty for others.
    static func operation(_ request: OutboundRequest) -> String {
        (try? WireJSON(parsing: request.body ?? []))?["operationName"].string ?? ""
    }

    static func json(_ text: String, status: Int = 200) -> OutboundResponse {
        OutboundResponse(status: status, headers: ["Content-Type": "application/json"], body: Array(text.utf8))
    }
}
