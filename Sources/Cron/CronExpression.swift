package import Foundation

/// A five-field cron expression with Debian's semantics; `next` and `previous` in any time zone.
package struct CronExpression: Sendable, Hashable {
    package let text: String
    let minute: CronField
    let hour: CronField
    let dayOfMonth: CronField
    let month: CronField
    let dayOfWeek: CronField

    private static let aliases = [
        "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
    ]

    /// Throws with the field's name for whatever is not a legal expression, also for dates that never come.
    package init(_ text: String) throws(CronParseError) {
        let trimmed = text.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
        var expanded = trimmed
        if trimmed.hasPrefix("@") {
            guard let alias = Self.aliases[trimmed.lowercased()] else {
                throw CronParseError(field: "expression", reason: "unknown alias \"\(trimmed)\"")
            }
            expanded = alias
        }
        let fields = expanded.split(separator: " ").map(String.init)
        guard fields.count != 6 else {
            throw CronParseError(field: "expression", reason: "six fields: seconds are not supported")
        }
        guard fields.count == 5 else {
            throw CronParseError(field: "expression", reason: "\(fields.count) fields where five are expected")
        }
        self.text = trimmed
        minute = try CronField(fields[0], .init(name: "minute", range: 0...59))
        hour = try CronField(fields[1], .init(name: "hour", range: 0...23))
        dayOfMonth = try CronField(fields[2], .init(name: "day of month", range: 1...31))
        month = try CronField(
            fields[3],
            .init(
                name: "month",
                range: 1...12,
                names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
                firstName: 1
            )
        )
        dayOfWeek = try CronField(
            fields[4],
            .init(name: "day of week", range: 0...7, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"])
        )
        try refuseImpossibleDates()
    }

    private func refuseImpossibleDates() throws(CronParseError) {
        // With both days given and neither starred, the weekday alone is enough for a fire.
        guard dayOfWeek.beginsWithStar || dayOfMonth.beginsWithStar else { return }
        let longest = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        let possible =
            dayOfMonth.lastDay
            || month.values.contains { month in dayOfMonth.values.contains { $0 <= longest[month - 1] } }
        guard possible else { throw CronParseError(field: "day of month", reason: "no such day in the given months") }
    }

    /// Neither minute nor hour begins with `*`: the job names a time, which daylight saving must neither skip nor
    /// repeat.
    package var isFixedTime: Bool { !minute.beginsWithStar && !hour.beginsWithStar }

    /// The first fire after `date`; nil when there is none within 50 years.
    package func next(after date: Date, in zone: TimeZone) -> Date? {
        let horizon = date.addingTimeInterval(50 * 366 * 86_400)
        var from = (date.timeIntervalSince1970 / 60).rounded(.down) + 1
        var segment = Segment(at: date, zone: zone)
        while true {
            let endMinute =
                segment.end.map { ($0.timeIntervalSince1970 / 60).rounded(.up) } ?? horizon.timeIntervalSince1970 / 60
            var local = Int(from) + segment.offsetMinutes
            if isFixedTime, let repeatedUntil = segment.repeatedUntil { local = max(local, repeatedUntil) }
            if let found = match(from: local, before: Int(endMinute) + segment.offsetMinutes) {
                return Date(timeIntervalSince1970: Double(found - segment.offsetMinutes) * 60)
            }
            guard let end = segment.end, end < horizon else { return nil }
            let following = Segment(at: end, zone: zone, before: segment)
            if isFixedTime, following.offsetMinutes > segment.offsetMinutes {
                // The gap's minutes never come on the clock; a job at such a time fires at once after it.
                let gapStart = Int(endMinute) + segment.offsetMinutes
                let gapEnd = Int(endMinute) + following.offsetMinutes
                if match(from: gapStart, before: gapEnd) != nil { return end }
            }
            segment = following
            from = endMinute
        }
    }

    /// The last fire before `date`; nil when there is none within eight years.
    package func previous(before date: Date, in zone: TimeZone) -> Date? {
        var reach = 3_600.0
        while reach < 8.5 * 366 * 86_400 {
            var found: Date?
            var at = date.addingTimeInterval(-reach)
            while let next = next(after: at, in: zone), next < date {
                found = next
                at = next
            }
            if let found { return found }
            reach *= 8
        }
        return nil
    }

    /// A stretch of time in which the zone's offset from UTC does not change.
    private struct Segment {
        let offsetMinutes: Int
        let end: Date?
        /// Local minute until which this segment repeats what the clock showed before.
        var repeatedUntil: Int?

        init(at date: Date, zone: TimeZone, before: Segment? = nil) {
            offsetMinutes = zone.secondsFromGMT(for: date) / 60
            end = zone.nextDaylightSavingTimeTransition(after: date)
            let start = before.map { _ in date } ?? date.addingTimeInterval(-86_400)
            if let before, before.offsetMinutes > offsetMinutes {
                repeatedUntil = Int(date.timeIntervalSince1970 / 60) + before.offsetMinutes
            } else if before == nil, let change = zone.nextDaylightSavingTimeTransition(after: start), change <= date {
                let earlier = zone.secondsFromGMT(for: change.addingTimeInterval(-1)) / 60
                if earlier > offsetMinutes { repeatedUntil = Int(change.timeIntervalSince1970 / 60) + earlier }
            }
        }
    }

    /// The first matching local minute (counted from 1970-01-01 00:00 on the local clock) in the range.
    private func match(from start: Int, before end: Int) -> Int? {
        guard start < end else { return nil }
        var day = Int((Double(start) / 1_440).rounded(.down))
        var first = start - day * 1_440
        while day * 1_440 < end {
            if matches(day: day) {
                for hour in self.hour.values.sorted() where hour * 60 + 59 >= first {
                    for minute in self.minute.values.sorted() where hour * 60 + minute >= first {
                        let found = day * 1_440 + hour * 60 + minute
                        return found < end ? found : nil
                    }
                }
            }
            day += 1
            first = 0
        }
        return nil
    }

    private func matches(day: Int) -> Bool {
        let civil = CivilDate(daysSince1970: day)
        guard month.values.contains(civil.month) else { return false }
        let byMonth = dayOfMonth.values.contains(civil.day) || (dayOfMonth.lastDay && civil.day == civil.monthLength)
        let byWeek =
            dayOfWeek.values.contains(civil.weekday)
            || (dayOfWeek.lastWeekdays.contains(civil.weekday) && civil.day + 7 > civil.monthLength)
            || dayOfWeek.nthWeekdays.contains([civil.weekday, (civil.day - 1) / 7 + 1])
        return dayOfMonth.beginsWithStar || dayOfWeek.beginsWithStar ? byMonth && byWeek : byMonth || byWeek
    }
}
