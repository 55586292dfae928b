package import Foundation
package import HTTPClient
package import Runtime

/// The way to the source's HTTP API: its address, its key, and the limits of one exchange.
package struct RetailAPI: Sendable {
    package let base: URL
    package let key: Secret<String>?
    private let transport: any HTTPTransport
    private let limits: ExchangeLimits

    /// Answers are held in memory whole, up to `limits.bodyMax` bytes.
    package init(
        base: URL,
        key: Secret<String>?,
        transport: any HTTPTransport,
        limits: ExchangeLimits = ExchangeLimits(idle: .seconds(60), total: .seconds(60), bodyMax: 64 << 20)
    ) {
        self.base = base
        self.key = key
        self.transport = transport
        self.limits = limits
    }

    /// One GET of a path below the base. Gives every status as it is; throws what the transport throws.
    package func get(_ path: String, query: [(String, String)] = []) async throws -> OutboundResponse {
        var url = base.appending(path: path)
        if !query.isEmpty { url.append(queryItems: query.map { URLQueryItem(name: $0.0, value: $0.1) }) }
        let request = OutboundRequest(
            .get,
            url,
            headers: ["Accept": "application/json"],
            // The transport follows no redirect to another host, which would carry the key there.
            secretHeaders: key.map { ["Authorization": $0] } ?? [:]
        )
        return try await transport.send(request, limits: limits)
    }
}
