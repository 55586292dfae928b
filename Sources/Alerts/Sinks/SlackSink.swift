package import Foundation
package import HTTPClient
package import Runtime

/// Posts to Slack, through an incoming webhook or as an app with a bot token (`chat:write`).
///
/// [Incoming webhooks](https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks),
/// [chat.postMessage](https://docs.slack.dev/reference/methods/chat.postMessage).
package struct SlackSink: AlertSink {
    package enum Way: Sendable {
        /// The URL is the credential.
        case webhook(Secret<URL>)
        case token(Secret<String>, channel: String)
    }

    private static let answerMax = 64 << 10
    private static let lineMax = 600

    package let name = "slack"
    private let way: Way
    private let transport: any HTTPTransport
    private let api: URL

    /// `api` is Slack's, or a test's.
    package init(_ way: Way, transport: any HTTPTransport, api: URL) {
        self.way = way
        self.transport = transport
        self.api = api
    }

    package func deliver(_ alert: Alert) async throws {
        let limits = ExchangeLimits(idle: .seconds(5), total: .seconds(10), bodyMax: Self.answerMax)
        let answer = try await transport.send(request(alert), limits: limits)
        try VendorAnswer.check(answer, of: "Slack")
        guard case .token = way else { return }
        // This method answers 200 and says in the body whether it did anything.
        let body = try? JSONDecoder().decode(JSONValue.self, from: Data(answer.body))
        guard body?["ok"]?.bool == true else {
            let reason = body?["error"]?.string.map { String($0.prefix(60)) } ?? "no reason"
            throw TallyError(
                reason == "ratelimited" ? .serverBusy : .credentialsRejected,
                during: "alerts.slack",
                "Slack refused the message: \(reason)",
                remedy: "Check SLACK_TOKEN (scope chat:write) and SLACK_CHANNEL, and invite the app to the channel."
            )
        }
    }

    private func request(_ alert: Alert) -> OutboundRequest {
        let text = Self.text(alert)
        let json = ["Content-Type": "application/json; charset=utf-8"]
        switch way {
        case .webhook(let url):
            let body: JSONValue = ["text": .string(text)]
            return OutboundRequest(.post, url.expose { $0 }, headers: json, body: Array(body.text.utf8))
        case .token(let token, let channel):
            let body: JSONValue = ["channel": .string(channel), "text": .string(text), "unfurl_links": false]
            return OutboundRequest(
                .post,
                api.appending(path: "chat.postMessage"),
                headers: json,
                secretHeaders: ["Authorization": Secret(token.expose { "Bearer \($0)" })],
                body: Array(body.text.utf8)
            )
        }
    }

    /// Slack's text: a mark, the title, the lines; `&`, `<`, `>` as Slack wants them.
    static func text(_ alert: Alert) -> String {
        let mark =
            switch alert.severity {
            case .problem: ":red_circle:"
            case .recovery: ":large_green_circle:"
            case .information: ":information_source:"
            }
        var lines = ["\(mark) *\(escaped(alert.title))*"] + alert.lines.map(escaped)
        if let run = alert.runID { lines.append("run `\(run)`") }
        return lines.joined(separator: "\n")
    }

    /// Scalar by scalar: a bracket and the combining mark behind it are one `Character`.
    private static func escaped(_ text: String) -> String {
        text.unicodeScalars.prefix(lineMax).map { scalar in
            switch scalar {
            case "&": "&amp;"
            case "<": "&lt;"
            case ">": "&gt;"
            default: String(scalar)
            }
        }.joined()
    }
}
