/// The days of an expression: three fields and Debian's rule that joins them.
struct CronDays: Sendable, Hashable {
    private let months: UInt64
    private let days: UInt64
    private let lastDay: Bool
    private let weekdays: UInt64
    private let lastWeekdays: [Int]
    private let nthWeekdays: [[Int]]
    /// True where one of the two day fields begins with `*`: then both must match, else either is enough.
    private let bothMustMatch: Bool

    init(dayOfMonth: CronField, month: CronField, dayOfWeek: CronField) {
        months = month.values
        days = dayOfMonth.values
        lastDay = dayOfMonth.parts.contains(.lastDay)
        weekdays = dayOfWeek.values
        lastWeekdays = dayOfWeek.parts.compactMap { if case .lastWeekday(let day) = $0 { day } else { nil } }
        nthWeekdays = dayOfWeek.parts.compactMap {
            if case .nthWeekday(let day, let nth) = $0 { [day, nth] } else { nil }
        }
        bothMustMatch = dayOfMonth.beginsWithStar || dayOfWeek.beginsWithStar
    }

    /// Refuses what no year has. Every month begins on every weekday in some year, leap or not, so these are all the
    /// months there are.
    func refuseImpossible() throws(CronParseError) {
        var someDay = false
        for month in 1...12 where months & (1 << UInt64(month)) != 0 {
            let length = CivilDate.length(ofMonth: month, leap: true)
            for shortened in 0...(month == 2 ? 1 : 0) {
                for weekday in 0...6 where mask(length: length - shortened, firstWeekday: weekday) != 0 { return }
                someDay = someDay || byMonth(length: length - shortened) != 0
            }
        }
        guard someDay else { throw CronParseError(field: "day of month", reason: "no such day in the given months") }
        throw CronParseError(field: "day of week", reason: "never falls on the given days of the given months")
    }

    /// The first matching day (counted from 1970-01-01) in the range.
    func first(from start: Int, through end: Int) -> Int? {
        let civil = CivilDate(daysSince1970: start)
        var (year, month, monthStart) = (civil.year, civil.month, start - civil.day + 1)
        while monthStart <= end {
            let length = CivilDate.length(ofMonth: month, leap: CivilDate.isLeap(year))
            if months & (1 << UInt64(month)) != 0 {
                var found = mask(length: length, firstWeekday: CivilDate.weekday(daysSince1970: monthStart))
                if monthStart < start { found &= ~0 << UInt64(start - monthStart + 1) }
                if found != 0 {
                    let day = monthStart + found.trailingZeroBitCount - 1
                    return day <= end ? day : nil
                }
            }
            monthStart += length
            (year, month) = month == 12 ? (year + 1, 1) : (year, month + 1)
        }
        return nil
    }

    /// The last matching day (counted from 1970-01-01) in the range.
    func last(through end: Int, downTo start: Int) -> Int? {
        let civil = CivilDate(daysSince1970: end)
        var (year, month, monthStart) = (civil.year, civil.month, end - civil.day + 1)
        while true {
            let length = CivilDate.length(ofMonth: month, leap: CivilDate.isLeap(year))
            if months & (1 << UInt64(month)) != 0 {
                var found = mask(length: length, firstWeekday: CivilDate.weekday(daysSince1970: monthStart))
                if end - monthStart + 1 < length { found &= (1 << UInt64(end - monthStart + 2)) - 1 }
                if found != 0 {
                    let day = monthStart + 63 - found.leadingZeroBitCount - 1
                    return day >= start ? day : nil
                }
            }
            guard monthStart > start else { return nil }
            (year, month) = month == 1 ? (year - 1, 12) : (year, month - 1)
            monthStart -= CivilDate.length(ofMonth: month, leap: CivilDate.isLeap(year))
        }
    }

    /// The matching days of one month: bit n is day n.
    private func mask(length: Int, firstWeekday: Int) -> UInt64 {
        let month = byMonth(length: length)
        let week = byWeek(length: length, firstWeekday: firstWeekday)
        return bothMustMatch ? month & week : month | week
    }

    private func byMonth(length: Int) -> UInt64 {
        let all: UInt64 = (1 << UInt64(length + 1)) - 2
        return (days | (lastDay ? 1 << UInt64(length) : 0)) & all
    }

    private func byWeek(length: Int, firstWeekday: Int) -> UInt64 {
        let all: UInt64 = (1 << UInt64(length + 1)) - 2
        func firstDay(_ weekday: Int) -> Int { (weekday - firstWeekday + 7) % 7 + 1 }
        var found: UInt64 = 0
        for weekday in 0...6 where weekdays & (1 << UInt64(weekday)) != 0 {
            // Days 0, 7, 14, 21 and 28, moved to where the weekday first comes.
            found |= 0x1020_4081 << UInt64(firstDay(weekday))
        }
        for weekday in lastWeekdays {
            let first = firstDay(weekday)
            found |= 1 << UInt64(first + (length - first) / 7 * 7)
        }
        for pair in nthWeekdays { found |= 1 << UInt64(firstDay(pair[0]) + 7 * (pair[1] - 1)) }
        return found & all
    }
}
