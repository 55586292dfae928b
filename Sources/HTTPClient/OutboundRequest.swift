package import Foundation
package import Runtime

/// One outbound HTTP request. Printing it shows method, host and path only: queries, headers and bodies carry secrets.
package struct OutboundRequest: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case delete = "DELETE"
    }

    package var method: Method
    package var url: URL
    package var headers: [String: String]
    /// Header values that may not be printed.
    package var secretHeaders: [String: Secret<String>]
    package var body: [UInt8]?

    package init(
        _ method: Method,
        _ url: URL,
        headers: [String: String] = [:],
        secretHeaders: [String: Secret<String>] = [:],
        body: [UInt8]? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.secretHeaders = secretHeaders
        self.body = body
    }

    package var description: String { "\(method.rawValue) \(url.host() ?? "")\(url.path())" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// A whole answer. Header names are in lower case.
package struct OutboundResponse: Sendable {
    package let status: Int
    package let headers: [String: String]
    package let body: [UInt8]

    package init(status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = Dictionary(headers.map { ($0.key.lowercased(), $0.value) }, uniquingKeysWith: { $1 })
        self.body = body
    }

    /// The server's own clock when it answered; nil when it does not say.
    package var date: Date? { headers["date"].flatMap(HTTPDate.parse) }

    /// How long `Retry-After` asks to wait (RFC 9110, 10.2.3): seconds or a date; at most a day, nil when absent.
    ///
    /// A date is the server's, so it is counted from the answer's `Date`, and from `now` only where there is none.
    package func retryAfter(now: Date) -> Duration? {
        guard let text = headers["retry-after"]?.trimmingCharacters(in: .whitespaces), !text.isEmpty else { return nil }
        let seconds: Double
        if let number = Double(text), number.isFinite {
            seconds = number
        } else {
            guard let until = HTTPDate.parse(text) else { return nil }
            seconds = until.timeIntervalSince(date ?? now)
        }
        return .milliseconds(Int64(min(86_400, max(0, seconds)) * 1_000))
    }
}

/// The limits of one exchange.
package struct ExchangeLimits: Sendable {
    /// No byte for so long, connecting included, is a failure.
    package var idle: Duration
    /// The whole exchange, from connecting to the last byte.
    package var total: Duration
    /// Bytes of the body after decompression.
    package var bodyMax: Int

    package init(idle: Duration = .seconds(20), total: Duration = .seconds(60), bodyMax: Int = 32 << 20) {
        self.idle = idle
        self.total = total
        self.bodyMax = bodyMax
    }
}

/// The one way out: sends requests and follows no redirect to another host.
///
/// Every status is an answer, not an error. Throws `.sourceUnreachable` (refused, reset, truncated),
/// `.deadlineExceeded` (idle or total), `.limitExceeded` (body beyond the ceiling), `.permissionDenied` (redirect to
/// another host, TLS refused) or a cancellation, after which the connection is closed.
package protocol HTTPTransport: Sendable {
    func send(_ request: OutboundRequest, limits: ExchangeLimits) async throws -> OutboundResponse
    /// Writes the body to `file` instead of memory when the status is 2xx; the answer's body is then empty.
    func download(_ request: OutboundRequest, to file: URL, limits: ExchangeLimits) async throws -> OutboundResponse
}

extension HTTPTransport {
    package func send(_ request: OutboundRequest) async throws -> OutboundResponse {
        try await send(request, limits: ExchangeLimits())
    }
}
