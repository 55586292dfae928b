import Foundation
import Postgres
import Runtime

/// Turns one field of a row on its way into the text that SQL would show for it, in UTC.
enum FieldText {
    /// Types whose binary form is read here; any other travels beside the row as text.
    static func isReadable(_ oid: UInt32) -> Bool {
        [20, 21, 23, 25, 1043, 1082, 1114, 1184, 2950].contains(oid)
    }

    /// The text of a field in binary form. Throws `.protocolViolation` for bytes that are none of that type.
    static func binary(_ bytes: ArraySlice<UInt8>, oid: UInt32) throws -> String {
        switch (oid, bytes.count) {
        case (25, _), (1043, _): return String(decoding: bytes, as: UTF8.self)
        case (20, 8), (21, 2), (23, 4): return String(integer(bytes))
        case (1114, 8): return TimeText.timestamp(micros: integer(bytes))
        case (1184, 8): return TimeText.timestamp(micros: integer(bytes), suffix: "+00")
        case (1082, 4): return TimeText.date(days: integer(bytes))
        case (2950, 16):
            let hex = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
            let cuts = [0..<4, 4..<6, 6..<8, 8..<10, 10..<16]
            return cuts.map { hex[$0].joined() }.joined(separator: "-")
        default:
            throw TallyError(.protocolViolation, during: "export.read", "a position of type \(oid) cannot be read")
        }
    }

    private static func integer(_ bytes: ArraySlice<UInt8>) -> Int64 {
        var value: Int64 = (bytes.first ?? 0) & 0x80 == 0 ? 0 : -1
        for byte in bytes { value = value << 8 | Int64(byte) }
        return value
    }

    /// The text of a field in COPY's text form; nil for NULL.
    static func copied(_ bytes: ArraySlice<UInt8>) -> String? {
        if bytes.elementsEqual([UInt8(ascii: "\\"), UInt8(ascii: "N")]) { return nil }
        return String(decoding: CopyText.unescape(bytes), as: UTF8.self)
    }
}

/// Dates and times as PostgreSQL writes them in ISO style, with all six digits of a second.
enum TimeText {
    private static let dayMicros: Int64 = 86_400_000_000
    /// Days from 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
    private static let epochDays: Int64 = 10_957

    static func timestamp(micros: Int64, suffix: String = "") -> String {
        if micros == .max { return "infinity" }
        if micros == .min { return "-infinity" }
        let days = micros >= 0 ? micros / dayMicros : -((dayMicros - 1 - micros) / dayMicros)
        let rest = micros - days * dayMicros
        let (date, isBC) = civil(days + epochDays)
        let seconds = rest / 1_000_000
        let clock = "\(pad(seconds / 3_600)):\(pad(seconds / 60 % 60)):\(pad(seconds % 60))"
        return "\(date) \(clock).\(pad(rest % 1_000_000, 6))\(suffix)\(isBC ? " BC" : "")"
    }

    static func date(days: Int64) -> String {
        if days == Int64(Int32.max) { return "infinity" }
        if days == Int64(Int32.min) { return "-infinity" }
        let (date, isBC) = civil(days + epochDays)
        return date + (isBC ? " BC" : "")
    }

    /// Microseconds since 2000-01-01 UTC of an ISO date or time without zone or in UTC; nil for any other text.
    static func micros(_ text: String) -> Int64? {
        let pattern = #/(\d{4,6})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:\+00)?)?/#
        guard let match = try? pattern.wholeMatch(in: text), let year = Int64(match.1), let month = Int64(match.2),
            let day = Int64(match.3)
        else { return nil }
        func number(_ part: Substring?) -> Int64 { part.flatMap { Int64($0) } ?? 0 }
        let seconds = number(match.4) * 3_600 + number(match.5) * 60 + number(match.6)
        let fraction = String(match.7 ?? "").padding(toLength: 6, withPad: "0", startingAt: 0)
        return (days(year, month, day) - epochDays) * dayMicros + seconds * 1_000_000 + (Int64(fraction) ?? 0)
    }

    private static func pad(_ number: Int64, _ width: Int = 2) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }

    /// Days since 1970-01-01 as a date of the proleptic Gregorian calendar.
    private static func civil(_ days: Int64) -> (date: String, isBC: Bool) {
        let date = CivilDate(daysSince1970: Int(days))
        let shown = date.year > 0 ? date.year : 1 - date.year
        return ("\(pad(Int64(shown), 4))-\(pad(Int64(date.month)))-\(pad(Int64(date.day)))", date.year <= 0)
    }

    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
