package import Foundation
import Runtime

/// Instants as vendors write them, and the days they fall on.
package enum WireTime {
    /// ISO 8601 with zone; fractions and seconds may be missing (`2019-08-01T00:00-07:00`), and a bare day is
    /// midnight UTC.
    ///
    /// Throws `.recordMalformed` for anything else.
    package static func parse(_ text: String?) throws -> Date {
        guard let text, let date = instant(text) else {
            throw TallyError(.recordMalformed, during: "wire.time", "a time is not ISO 8601")
        }
        return date
    }

    /// nil for anything that is no instant.
    package static func instant(_ text: String) -> Date? {
        let bytes = Array(text.utf8)
        func number(_ from: Int, _ count: Int) -> Int? {
            guard from + count <= bytes.count else { return nil }
            var value = 0
            for byte in bytes[from..<from + count] {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int(byte - 0x30)
            }
            return value
        }
        func mark(_ at: Int, _ characters: String) -> Bool {
            at < bytes.count && characters.utf8.contains(bytes[at])
        }
        guard let year = number(0, 4), mark(4, "-"), let month = number(5, 2), mark(7, "-"), let day = number(8, 2),
            (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        var seconds = Double(daysSince1970(year, month, day) * 86_400)
        if bytes.count == 10 { return Date(timeIntervalSince1970: seconds) }
        guard mark(10, "Tt "), let hour = number(11, 2), mark(13, ":"), let minute = number(14, 2), hour < 25,
            minute < 60
        else { return nil }
        seconds += Double(hour * 3_600 + minute * 60)
        var at = 16
        if mark(at, ":") {
            guard let second = number(at + 1, 2), second < 61 else { return nil }
            seconds += Double(second)
            at += 3
            if mark(at, ".,") {
                var scale = 0.1
                at += 1
                while at < bytes.count, (0x30...0x39).contains(bytes[at]) {
                    seconds += Double(bytes[at] - 0x30) * scale
                    scale /= 10
                    at += 1
                }
            }
        }
        if mark(at, "Zz"), at + 1 == bytes.count { return Date(timeIntervalSince1970: seconds) }
        guard mark(at, "+-"), let hours = number(at + 1, 2) else { return nil }
        let minutesAt = mark(at + 3, ":") ? at + 4 : at + 3
        let minutes = minutesAt < bytes.count ? number(minutesAt, 2) : 0
        guard let minutes else { return nil }
        let offset = Double(hours * 3_600 + minutes * 60)
        return Date(timeIntervalSince1970: bytes[at] == UInt8(ascii: "-") ? seconds + offset : seconds - offset)
    }

    /// Days of the proleptic Gregorian calendar, after Howard Hinnant's `days_from_civil`.
    private static func daysSince1970(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// `2026-11-20T09:30:00Z`; with milliseconds when the instant has a fraction.
    package static func text(_ date: Date) -> String {
        text(microseconds: Int64((date.timeIntervalSince1970 * 1_000).rounded()) * 1_000, places: 3)
    }

    /// An instant in UTC, with `places` digits of its fraction when it has one.
    ///
    /// By hand: Foundation's formatter takes thirty times as long, and every stored line has two instants.
    static func text(microseconds: Int64, places: Int) -> String {
        func split(_ value: Int, by divisor: Int) -> (Int, Int) {
            let rest = ((value % divisor) + divisor) % divisor
            return ((value - rest) / divisor, rest)
        }
        let (seconds, fraction) = split(Int(microseconds), by: 1_000_000)
        let (days, second) = split(seconds, by: 86_400)
        let date = CivilDate(daysSince1970: days)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(28)
        func digits(_ value: Int, _ count: Int, then mark: Unicode.Scalar) {
            var scale = 1
            for _ in 1..<count { scale *= 10 }
            while scale > 0 {
                bytes.append(UInt8(0x30 + value / scale % 10))
                scale /= 10
            }
            bytes.append(UInt8(ascii: mark))
        }
        digits(date.year, 4, then: "-")
        digits(date.month, 2, then: "-")
        digits(date.day, 2, then: "T")
        digits(second / 3_600, 2, then: ":")
        digits(second / 60 % 60, 2, then: ":")
        digits(second % 60, 2, then: fraction == 0 ? "Z" : ".")
        if fraction != 0 { digits(places == 3 ? fraction / 1_000 : fraction, places, then: "Z") }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The instant's microseconds since 1970: a version that orders two states of one document.
    package static func version(_ date: Date) -> Int64 { Int64((date.timeIntervalSince1970 * 1_000_000).rounded()) }
}

/// Starts of days in one zone, remembered: thousands of lines share a few days.
package struct DayBuckets: Sendable {
    /// Quarters of an hour that are remembered: six weeks, and what is read comes in the order of time.
    private static let knownMax = 4_096

    private let calendar: Calendar
    private var known: [Int: Date] = [:]
    /// The day that was asked for last.
    private var latest = Date.distantPast..<Date.distantPast

    package init(zone: TimeZone) {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone
        self.calendar = calendar
    }

    /// The first instant of the day that `date` falls on.
    package mutating func day(of date: Date) -> Date {
        if latest.contains(date) { return latest.lowerBound }
        // No zone changes its offset within a quarter of an hour that begins on the clock's quarter.
        let quarter = Int((date.timeIntervalSince1970 / 900).rounded(.down))
        if let start = known[quarter] { return start }
        let start = calendar.startOfDay(for: date)
        if let end = calendar.dateInterval(of: .day, for: date)?.end, end > start { latest = start..<end }
        if known.count >= Self.knownMax { known.removeAll(keepingCapacity: true) }
        known[quarter] = start
        return start
    }
}
