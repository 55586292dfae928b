import Crypto
import Engine
package import Foundation
package import HTTPClient
package import Runtime

/// Posts each alert as JSON to a URL, signed so that the receiver knows who sent it, and when.
///
/// `X-Tallyman-Signature` is `sha256=` and the hex HMAC-SHA-256 (RFC 2104) of `<X-Tallyman-Timestamp>.<body>` with the
/// shared secret; the timestamp is in seconds since 1970. `Idempotency-Key` is the same for every attempt.
package struct WebhookSink: AlertSink {
    package let name = "webhook"
    private let url: Secret<URL>
    private let secret: Secret<String>
    private let transport: any HTTPTransport
    private let now: @Sendable () -> Date

    package init(
        url: Secret<URL>,
        secret: Secret<String>,
        transport: any HTTPTransport,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.url = url
        self.secret = secret
        self.transport = transport
        self.now = now
    }

    package func deliver(_ alert: Alert) async throws {
        let body = Array(Self.body(alert).text.utf8)
        let timestamp = "\(Int(now().timeIntervalSince1970))"
        let request = OutboundRequest(
            .post,
            url.expose { $0 },
            headers: [
                "Content-Type": "application/json",
                "Idempotency-Key": alert.id.uuidString.lowercased(),
                "X-Tallyman-Timestamp": timestamp,
                "X-Tallyman-Signature": "sha256=" + signature(of: body, at: timestamp),
            ],
            body: body
        )
        let limits = ExchangeLimits(idle: .seconds(5), total: .seconds(10), bodyMax: 64 << 10)
        try VendorAnswer.check(try await transport.send(request, limits: limits), of: "the webhook")
    }

    private func signature(of body: [UInt8], at timestamp: String) -> String {
        let key = secret.expose { SymmetricKey(data: Data($0.utf8)) }
        let code = HMAC<SHA256>.authenticationCode(for: Data(timestamp.utf8) + Data(".".utf8) + Data(body), using: key)
        return code.map { String(format: "%02x", $0) }.joined()
    }

    static func body(_ alert: Alert) -> JSONValue {
        [
            "id": .string(alert.id.uuidString.lowercased()),
            "job": .string(alert.job.rawValue),
            "subject": .string(alert.subject.rawValue),
            "severity": .string(alert.severity.rawValue),
            "title": .string(alert.title),
            "lines": .array(alert.lines.map { .string($0) }),
            "runId": alert.runID.map { .string("\($0)") } ?? .null,
            "at": .string(alert.at.formatted(.iso8601)),
        ]
    }
}
