import Foundation
package import Logging
import Runtime

/// How a log line is written.
package enum LogFormat: Sendable {
    /// One JSON object: `ts`, `level`, `logger`, `msg` and the keys.
    case json
    /// A readable line, for development.
    case text
}

/// Writes each event as one line on standard error.
package struct LineLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let format: LogFormat

    package init(label: String, format: LogFormat, level: Logger.Level) {
        self.label = label
        self.format = format
        logLevel = level
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let keys = metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 })
        // One write a line, so that lines of several threads do not mix.
        FileHandle.standardError.write(Data((format == .json ? json(event, keys) : text(event, keys)).utf8))
    }

    private func json(_ event: LogEvent, _ keys: Logger.Metadata) -> String {
        var members: [String: JSONValue] = [
            "ts": .string(Self.now()), "level": .string(event.level.rawValue), "logger": .string(label),
            "msg": .string(event.message.description),
        ]
        for (key, value) in keys { members[key] = .string(value.description) }
        return JSONValue.object(members).text + "\n"
    }

    private func text(_ event: LogEvent, _ keys: Logger.Metadata) -> String {
        let tail = keys.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        return "\(Self.now()) \(event.level.rawValue) \(label): \(event.message)\(tail)\n"
    }

    private static func now() -> String {
        Date().formatted(
            .iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(separator: .omitted)
        )
    }
}
