import Foundation

/// Rows as the JSON that `jsonb_to_recordset` reads: every value is text, so that numerics arrive exactly as written.
struct RowText {
    private(set) var text = "["
    private(set) var count = 0
    private var firstField = true

    mutating func begin() {
        text += count == 0 ? "{" : ",{"
        count += 1
        firstField = true
    }

    mutating func end() { text += "}" }

    mutating func field(_ name: StaticString, _ value: String?) {
        guard let value else { return }
        if !firstField { text += "," }
        firstField = false
        text += "\"\(name)\":\""
        append(value)
        text += "\""
    }

    mutating func field(_ name: StaticString, _ value: Int?) { field(name, value.map { String($0) }) }
    mutating func field(_ name: StaticString, _ value: Int64) { field(name, String(value)) }
    mutating func field(_ name: StaticString, _ value: Decimal?) { field(name, value?.exactText) }
    mutating func field(_ name: StaticString, _ value: Date?) { field(name, value.map { Self.micros($0) }) }

    var closed: String { text + "]" }

    /// Seconds since 1970 with six places: `to_timestamp` would take a double, so the text form is used.
    private static func micros(_ date: Date) -> String {
        WireTime.text(microseconds: Int64((date.timeIntervalSince1970 * 1_000_000).rounded()), places: 6)
    }

    /// The text as it will be stored.
    static func storable(_ value: String) -> String {
        value.utf8.contains(0) ? value.replacing("\u{0}", with: "\u{FFFD}") : value
    }

    /// PostgreSQL's text cannot hold U+0000: it becomes U+FFFD.
    private mutating func append(_ value: String) {
        let plain = value.utf8.allSatisfy { $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
        if plain {
            text += value
            return
        }
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\u{0}": text += "\u{FFFD}"
            case "\u{1}"..."\u{1F}":
                let hex = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}
