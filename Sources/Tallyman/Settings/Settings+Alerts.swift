import Alerts
import ConfigFile
import Cron
import Foundation
import Runtime

extension Settings {
    /// Who is told what about runs.
    struct Alerting: Sendable {
        let slack: SlackSink.Way?
        let webhook: (url: Secret<URL>, secret: Secret<String>)?
        /// nil: no alert about differences.
        let driftRows: Int?
        /// Seconds; nil: what lasts is told once.
        let repeatAfter: Int?
        let digest: CronExpression?
    }

    static func readAlerts(_ reader: inout SettingsReader) -> Alerting {
        let drift = reader.int(.alertDriftRows, in: 0...1_000_000_000, default: 0)
        let again = reader.parsed(.alertRepeat, default: "24h", expected: "a span of time such as 24h, or off") {
            text -> Int?? in
            if text == "off" { return .some(nil) }
            return SpanText.seconds(text).flatMap { $0 >= 60 ? .some($0) : nil }
        }
        return Alerting(
            slack: readSlack(&reader),
            webhook: readWebhook(&reader),
            driftRows: drift == 0 ? nil : drift,
            repeatAfter: again ?? nil,
            digest: reader.has(.alertDigestCronSchedule) ? reader.cron(.alertDigestCronSchedule, default: "") : nil
        )
    }

    private static func readSlack(_ reader: inout SettingsReader) -> SlackSink.Way? {
        if reader.has(.slackWebhookURL) {
            if reader.has(.slackToken) { reader.refuse(.slackToken, "and SLACK_WEBHOOK_URL: set one of them") }
            return readURL(.slackWebhookURL, &reader).map { .webhook($0) }
        }
        guard let token = reader.secret(.slackToken) else {
            if reader.has(.slackChannel) { reader.refuse(.slackChannel, "needs SLACK_TOKEN beside it") }
            return nil
        }
        guard let channel = reader.string(.slackChannel) else {
            reader.refuse(.slackToken, "needs SLACK_CHANNEL beside it")
            return nil
        }
        return .token(token, channel: channel)
    }

    private static func readWebhook(_ reader: inout SettingsReader) -> (url: Secret<URL>, secret: Secret<String>)? {
        guard reader.has(.alertWebhookURL) else {
            if reader.has(.alertWebhookSecret) {
                reader.refuse(.alertWebhookSecret, "needs ALERT_WEBHOOK_URL beside it")
            }
            return nil
        }
        guard let secret = reader.secret(.alertWebhookSecret), secret.expose({ $0.utf8.count >= 16 }) else {
            reader.refuse(.alertWebhookSecret, "is required with ALERT_WEBHOOK_URL, 16 bytes or more")
            return nil
        }
        return readURL(.alertWebhookURL, &reader).map { ($0, secret) }
    }

    private static func readURL(_ name: SettingName, _ reader: inout SettingsReader) -> Secret<URL>? {
        guard let url = reader.secret(name)?.expose({ URL(string: $0) }), let host = url.host(), !host.isEmpty,
            url.scheme == "https" || (url.scheme == "http" && ["127.0.0.1", "localhost", "::1"].contains(host))
        else {
            reader.refuse(name, "must be a URL that begins with https:// (http only to this host)")
            return nil
        }
        return Secret(url)
    }
}
