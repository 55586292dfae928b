import Alerts
import Crypto
import Engine
import Foundation
import HTTPClient
import Runtime
import TestKit
import Testing

/// Remembers what was sent and answers what it is told.
final class Postbox: HTTPTransport {
    let sent = Watched<[OutboundRequest]>([])
    private let answers: @Sendable (Int) async throws -> OutboundResponse

    init(_ answers: @escaping @Sendable (Int) async throws -> OutboundResponse) {
        self.answers = answers
    }

    func send(_ request: OutboundRequest, limits: ExchangeLimits) async throws -> OutboundResponse {
        let number = sent.change { sent in
            sent.append(request)
            return sent.count
        }
        return try await answers(number)
    }

    func download(_ request: OutboundRequest, to file: URL, limits: ExchangeLimits) async throws -> OutboundResponse {
        throw TallyError(.unknown, during: "test", "nothing is downloaded here")
    }
}

@Suite struct SinkTests {
    static let alert = Alert(
        job: "product_sync",
        subject: .run,
        severity: .problem,
        title: "a <b> & c <\u{20DD}!channel>",
        lines: ["line"],
        at: Date(timeIntervalSince1970: 1_700_000_000)
    )

    private func url(_ text: String) throws -> URL { try #require(URL(string: text)) }

    @Test func slackGetsEscapedTextByWebhook() async throws {
        let box = Postbox { _ in OutboundResponse(status: 200, body: Array("ok".utf8)) }
        let hook = try url("https://hooks.example/T0/secret")
        try await SlackSink(.webhook(Secret(hook)), transport: box, api: hook).deliver(Self.alert)
        let request = try #require(box.sent.value.first)
        #expect(request.url == hook)
        let body = try JSONDecoder().decode(JSONValue.self, from: Data(request.body ?? []))
        #expect(body["text"]?.string == ":red_circle: *a &lt;b&gt; &amp; c &lt;\u{20DD}!channel&gt;*\nline")
        #expect(!"\(request)".contains("secret") || "\(request)".contains("/T0/"), "bodies and headers are not printed")
    }

    @Test func slackSaysInTheBodyWhetherItTookIt() async throws {
        let api = try url("https://slack.example/api")
        let token = Secret("xoxb-hidden")
        let good = Postbox { _ in OutboundResponse(status: 200, body: Array(#"{"ok":true}"#.utf8)) }
        try await SlackSink(.token(token, channel: "#ops"), transport: good, api: api).deliver(Self.alert)
        let request = try #require(good.sent.value.first)
        #expect(request.url.path() == "/api/chat.postMessage")
        #expect(request.secretHeaders["Authorization"]?.expose { $0 } == "Bearer xoxb-hidden")
        #expect(!"\(request)".contains("xoxb"))
        let bad = Postbox { _ in
            OutboundResponse(status: 200, body: Array(#"{"ok":false,"error":"not_in_channel"}"#.utf8))
        }
        let error = await #expect(throws: TallyError.self) {
            try await SlackSink(.token(token, channel: "#ops"), transport: bad, api: api).deliver(Self.alert)
        }
        #expect(error?.summary.contains("not_in_channel") == true)
        #expect(error?.remedy?.contains("SLACK_CHANNEL") == true)
    }

    /// RFC 2104, computed here again over what was received.
    @Test func theWebhookIsSigned() async throws {
        let box = Postbox { _ in OutboundResponse(status: 204) }
        let secret = "a shared secret of some length"
        let sink = WebhookSink(
            url: Secret(try url("https://ops.example/alerts")),
            secret: Secret(secret),
            transport: box,
            now: { Date(timeIntervalSince1970: 1_700_000_123) }
        )
        try await sink.deliver(Self.alert)
        let request = try #require(box.sent.value.first)
        let body = Data(request.body ?? [])
        let signed = Data("1700000123.".utf8) + body
        let expected = HMAC<SHA256>.authenticationCode(for: signed, using: SymmetricKey(data: Data(secret.utf8)))
        let hex = expected.map { String(format: "%02x", $0) }.joined()
        #expect(request.headers["X-Tallyman-Signature"] == "sha256=\(hex)")
        #expect(request.headers["X-Tallyman-Timestamp"] == "1700000123")
        #expect(request.headers["Idempotency-Key"] == Self.alert.id.uuidString.lowercased())
        let json = try JSONDecoder().decode(JSONValue.self, from: body)
        #expect(json["severity"]?.string == "problem")
        #expect(json["at"]?.string == "2023-11-14T22:13:20Z")
    }

    @Test(arguments: [
        (429, TallyError.Kind.serverBusy), (503, .serverBusy), (404, .permissionDenied), (302, .permissionDenied),
    ])
    func answersAreJudged(status: Int, kind: TallyError.Kind) async throws {
        let box = Postbox { _ in OutboundResponse(status: status, headers: ["Retry-After": "7"]) }
        let sink = WebhookSink(
            url: Secret(try url("https://ops.example/alerts")),
            secret: Secret("0123456789abcdef"),
            transport: box
        )
        let error = await #expect(throws: TallyError.self) { try await sink.deliver(Self.alert) }
        #expect(error?.kind == kind)
        #expect(error?.retryAfter == (kind == .serverBusy ? .seconds(7) : nil))
    }
}
