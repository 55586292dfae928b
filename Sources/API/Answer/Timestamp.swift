package import Foundation

/// Instants as the contract writes them: RFC 3339, UTC, milliseconds.
package enum Timestamp {
    package static func text(_ date: Date) -> String {
        date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    /// Milliseconds from one instant to another, never negative.
    package static func milliseconds(from start: Date, to end: Date) -> Int {
        Int(max(0, (end.timeIntervalSince(start) * 1000).rounded()))
    }
}
