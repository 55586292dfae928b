/// Instants as ISO 8601 text and as PostgreSQL's microseconds since 2000-01-01 UTC.
package enum InstantText {
    /// Days from 1970-01-01 to a civil date (proleptic Gregorian).
    static func days(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func daysIn(_ month: Int, of year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Reads `YYYY-MM-DD[T| ]HH:MM[:SS[.fraction]][Z|±HH[[:]MM]]` or a date alone; without a zone it is UTC. Digits
    /// beyond microseconds are rounded. nil for anything else, and for days that are not in the calendar.
    package static func microseconds(_ bytes: borrowing Span<UInt8>, _ start: Int, _ end: Int) -> Int64? {
        var index = start
        guard let year = number(bytes, &index, end, 4), take(bytes, &index, end, "-"),
            let month = number(bytes, &index, end, 2), take(bytes, &index, end, "-"),
            let day = number(bytes, &index, end, 2), (1...12).contains(month), year >= 1,
            (1...daysIn(month, of: year)).contains(day)
        else { return nil }
        var micros = Int64(days(year: year, month: month, day: day) - 10_957) * 86_400_000_000
        guard index < end else { return micros }
        guard take(bytes, &index, end, "T") || take(bytes, &index, end, " ") || take(bytes, &index, end, "t"),
            let hour = number(bytes, &index, end, 2), hour < 24, take(bytes, &index, end, ":"),
            let minute = number(bytes, &index, end, 2), minute < 60
        else { return nil }
        micros += Int64(hour * 3_600 + minute * 60) * 1_000_000
        if take(bytes, &index, end, ":") {
            guard let second = number(bytes, &index, end, 2), second <= 60 else { return nil }
            micros += Int64(second) * 1_000_000
            if take(bytes, &index, end, ".") || take(bytes, &index, end, ",") {
                guard let fraction = fraction(bytes, &index, end) else { return nil }
                micros += fraction
            }
        }
        guard let offset = zone(bytes, &index, end), index == end else { return nil }
        return micros - offset
    }

    private static func zone(_ bytes: borrowing Span<UInt8>, _ index: inout Int, _ end: Int) -> Int64? {
        if index == end || take(bytes, &index, end, "Z") || take(bytes, &index, end, "z") { return 0 }
        let negative = take(bytes, &index, end, "-")
        guard negative || take(bytes, &index, end, "+"), let hours = number(bytes, &index, end, 2), hours < 16 else {
            return nil
        }
        var minutes = 0
        if index < end {
            _ = take(bytes, &index, end, ":")
            guard let read = number(bytes, &index, end, 2), read < 60 else { return nil }
            minutes = read
        }
        let offset = Int64(hours * 3_600 + minutes * 60) * 1_000_000
        return negative ? -offset : offset
    }

    private static func fraction(_ bytes: borrowing Span<UInt8>, _ index: inout Int, _ end: Int) -> Int64? {
        var value: Int64 = 0
        var digits = 0
        while index < end, bytes[index] &- 48 < 10 {
            if digits < 6 { value = value * 10 + Int64(bytes[index] - 48) }
            if digits == 6, bytes[index] >= UInt8(ascii: "5") { value += 1 }
            digits += 1
            index += 1
        }
        guard digits > 0 else { return nil }
        for _ in 0..<max(0, 6 - digits) { value *= 10 }
        return value
    }

    private static func number(_ bytes: borrowing Span<UInt8>, _ index: inout Int, _ end: Int, _ width: Int) -> Int? {
        guard index + width <= end else { return nil }
        var value = 0
        for _ in 0..<width {
            let digit = bytes[index] &- 48
            guard digit < 10 else { return nil }
            value = value * 10 + Int(digit)
            index += 1
        }
        return value
    }

    private static func take(_ bytes: borrowing Span<UInt8>, _ index: inout Int, _ end: Int, _ wanted: Unicode.Scalar)
        -> Bool
    {
        guard index < end, UInt32(bytes[index]) == wanted.value else { return false }
        index += 1
        return true
    }
}
