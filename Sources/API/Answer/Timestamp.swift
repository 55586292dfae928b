package import Foundation

/// Instants as the contract writes them: RFC 3339, UTC, milliseconds.
package enum Timestamp {
    package static func text(_ date: Date) -> String {
        date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    }

    /// With microseconds, as positions are kept: `2026-11-20T10:00:00.123456Z`.
    package static func microseconds(_ date: Date) -> String {
        guard let total = Int64(exactly: (date.timeIntervalSince1970 * 1_000_000).rounded()) else { return text(date) }
        let second = total >= 0 ? total / 1_000_000 : (total - 999_999) / 1_000_000
        let micros = String(total - second * 1_000_000)
        let whole = Date(timeIntervalSince1970: Double(second)).formatted(Date.ISO8601FormatStyle())
        return whole.dropLast() + "." + String(repeating: "0", count: 6 - micros.count) + micros + "Z"
    }

    /// The years 1 to 9999, beyond which no such text means one instant to everybody.
    private static let readable = -62_135_596_800.0..<253_402_300_800.0

    /// Reads an instant with zone, with up to six digits behind the second; nil for anything else.
    package static func parse(_ text: String) -> Date? {
        var head = text
        var fraction = 0.0
        if let dot = text.firstIndex(of: ".") {
            let digits = text[text.index(after: dot)...].prefix { $0.isASCII && $0.isNumber }
            guard (1...6).contains(digits.count), let value = Double("0.\(digits)") else { return nil }
            fraction = value
            head = String(text[..<dot] + text[digits.endIndex...])
        }
        guard let date = try? Date(head, strategy: Date.ISO8601FormatStyle()) else { return nil }
        guard readable.contains(date.timeIntervalSince1970) else { return nil }
        return date.addingTimeInterval(fraction)
    }

    /// Milliseconds from one instant to another, never negative.
    package static func milliseconds(from start: Date, to end: Date) -> Int {
        Int(max(0, (end.timeIntervalSince(start) * 1000).rounded()))
    }
}
