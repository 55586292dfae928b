import Alerts
import Engine
import Foundation
import HTTPClient
import Logging
import Postgres
import Runtime

extension Notifier {
    /// The notifier with the channels that are configured; without one it is off.
    static func of(
        _ settings: Settings.Alerting,
        features: [Feature],
        state: PGPool,
        deadLetters: DeadLetterStore
    ) -> Notifier {
        var sinks: [any AlertSink] = []
        let transport = URLSessionTransport(userAgent: "tallyman/\(ProcessSetup.version)")
        if let slack = settings.slack, let api = URL(string: "https://slack.com/api") {
            sinks.append(SlackSink(slack, transport: transport, api: api))
        }
        if let webhook = settings.webhook {
            sinks.append(WebhookSink(url: webhook.url, secret: webhook.secret, transport: transport))
        }
        let reported = Set(features.flatMap(\.reportedJobs))
        return Notifier(
            policy: AlertPolicy(driftRows: settings.driftRows) { reported.contains($0) },
            store: NoticeStore(state: state, repeatAfter: settings.repeatAfter),
            sinks: sinks,
            openLetters: { try await deadLetters.openCounts() },
            logger: Logger(label: "alerts")
        )
    }
}
