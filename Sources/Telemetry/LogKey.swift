package import Logging

/// The closed set of keys that a log line may carry.
package enum LogKey: String, Sendable, CaseIterable {
    case job, state, trigger, count, table, column, key, reason, error, remedy, stage, port, host, route, method, status
    case unchanged, position, fence, holder, attempt, database, schedule, instant, signal, version, bytes, kind
    case runID = "run_id"
    case rowCount = "row_count"
    case durationMS = "duration_ms"
    case requestID = "request_id"
    case delayMS = "delay_ms"
}

extension Logger {
    /// Writes a fixed sentence with keys from the closed set; `StaticString` makes interpolation impossible.
    ///
    /// The keys are made only where the level is logged.
    package func event(
        _ level: Logger.Level,
        _ message: StaticString,
        _ keys: @autoclosure () -> [LogKey: String] = [:]
    ) {
        guard level >= logLevel else { return }
        log(
            level: level,
            "\(message)",
            metadata: Logger.Metadata(keys().map { ($0.key.rawValue, .string($0.value)) }, uniquingKeysWith: { $1 })
        )
    }
}
