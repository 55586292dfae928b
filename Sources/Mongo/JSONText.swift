/// The words of JSON, appended as UTF-8.
enum JSONText {
    static func append(_ value: Int64, to out: inout [UInt8]) {
        guard value < 0 || value > 9 else {
            out.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value))
            return
        }
        var magnitude = value.magnitude
        if value < 0 { out.append(UInt8(ascii: "-")) }
        let start = out.count
        while magnitude > 0 {
            out.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude % 10))
            magnitude /= 10
        }
        out[start...].reverse()
    }

    /// The shortest number that reads back as the same double; whole ones without a fraction, as JavaScript writes
    /// them.
    static func append(_ value: Double, to out: inout [UInt8]) {
        if value.magnitude < 1e15, value == value.rounded(.towardZero) {
            append(Int64(value), to: &out)
        } else if value.isFinite {
            let text = value.description.utf8
            out.append(contentsOf: text)
            if text.suffix(2).elementsEqual(".0".utf8) { out.removeLast(2) }
        } else {
            out.append(literal: value.isNaN ? "\"NaN\"" : value < 0 ? "\"-Infinity\"" : "\"Infinity\"")
        }
    }

    /// A string literal (RFC 8259 §7) of the bytes in `range`. Throws `.recordMalformed` for U+0000 and for what is not
    /// UTF-8.
    static func quote(_ bytes: Span<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) throws {
        out.append(UInt8(ascii: "\""))
        var ascii = true
        for index in range {
            let byte = bytes[index]
            switch byte {
            case 0: throw BSONWalk.malformed("U+0000 in a text")
            case UInt8(ascii: "\""): out.append(literal: "\\\"")
            case UInt8(ascii: "\\"): out.append(literal: "\\\\")
            case 0x01...0x1F: escapeControl(byte, to: &out)
            case 0x80...:
                ascii = false
                out.append(byte)
            default: out.append(byte)
            }
        }
        if !ascii, (try? UTF8Span(validating: bytes.extracting(range))) == nil {
            throw BSONWalk.malformed("text that is not UTF-8")
        }
        out.append(UInt8(ascii: "\""))
    }

    private static func escapeControl(_ byte: UInt8, to out: inout [UInt8]) {
        switch byte {
        case 0x08: out.append(literal: "\\b")
        case 0x09: out.append(literal: "\\t")
        case 0x0A: out.append(literal: "\\n")
        case 0x0C: out.append(literal: "\\f")
        case 0x0D: out.append(literal: "\\r")
        default:
            out.append(literal: "\\u00")
            appendHex(byte, to: &out)
        }
    }

    static func quoteHex(_ bytes: Span<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for index in range { appendHex(bytes[index], to: &out) }
        out.append(UInt8(ascii: "\""))
    }

    /// 8-4-4-4-12 lower-case hex digits.
    static func quoteUUID(_ bytes: Span<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for (offset, index) in range.enumerated() {
            if offset == 4 || offset == 6 || offset == 8 || offset == 10 { out.append(UInt8(ascii: "-")) }
            appendHex(bytes[index], to: &out)
        }
        out.append(UInt8(ascii: "\""))
    }

    private static func appendHex(_ byte: UInt8, to out: inout [UInt8]) {
        out.append(hexDigit(byte >> 4))
        out.append(hexDigit(byte & 15))
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") - 10 + value
    }

    private static let base64Digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// RFC 4648 §4, with padding.
    static func quoteBase64(_ bytes: Span<UInt8>, _ range: Range<Int>, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        var at = range.lowerBound
        while at < range.upperBound {
            let count = min(3, range.upperBound - at)
            var group: UInt32 = 0
            for offset in 0..<3 { group = group << 8 | (offset < count ? UInt32(bytes[at + offset]) : 0) }
            for digit in 0..<4 {
                let index = Int(group >> UInt32(18 - 6 * digit)) & 63
                out.append(digit <= count ? base64Digits[index] : UInt8(ascii: "="))
            }
            at += count
        }
        out.append(UInt8(ascii: "\""))
    }

    private static let millisecondsOfYear0: Int64 = -62_167_219_200_000
    private static let millisecondsOfYear10000: Int64 = 253_402_300_800_000

    /// ISO 8601 in UTC with milliseconds; outside the years 0…9999 the milliseconds since 1970 as a string.
    static func quoteDate(milliseconds: Int64, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        defer { out.append(UInt8(ascii: "\"")) }
        guard milliseconds >= millisecondsOfYear0, milliseconds < millisecondsOfYear10000 else {
            append(milliseconds, to: &out)
            return
        }
        let sinceYear0 = milliseconds - millisecondsOfYear0
        let date = civilDate(daysSinceYear0: sinceYear0 / 86_400_000)
        let time = sinceYear0 % 86_400_000
        appendPadded(date.year, 4, to: &out)
        out.append(UInt8(ascii: "-"))
        appendPadded(date.month, 2, to: &out)
        out.append(UInt8(ascii: "-"))
        appendPadded(date.day, 2, to: &out)
        out.append(UInt8(ascii: "T"))
        appendPadded(time / 3_600_000, 2, to: &out)
        out.append(UInt8(ascii: ":"))
        appendPadded(time / 60_000 % 60, 2, to: &out)
        out.append(UInt8(ascii: ":"))
        appendPadded(time / 1000 % 60, 2, to: &out)
        out.append(UInt8(ascii: "."))
        appendPadded(time % 1000, 3, to: &out)
        out.append(UInt8(ascii: "Z"))
    }

    /// The proleptic Gregorian date, after Howard Hinnant's `civil_from_days`, with years that begin in March.
    private static func civilDate(daysSinceYear0 days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        // Day 0 is 0000-01-01; one era of 400 years is added so that January and February of year 0 stay positive.
        let shifted = days - 60 + 146_097
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + (era - 1) * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func appendPadded(_ value: Int64, _ width: Int, to out: inout [UInt8]) {
        var unit: Int64 = 1
        for _ in 1..<width { unit *= 10 }
        while unit > 0 {
            out.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / unit % 10))
            unit /= 10
        }
    }
}

extension [UInt8] {
    @inline(__always)
    mutating func append(literal: StaticString) {
        literal.withUTF8Buffer { append(contentsOf: $0) }
    }
}
