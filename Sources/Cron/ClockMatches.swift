/// Where an expression matches on a clock that knows no zone: minutes counted from 1970-01-01 00:00 on that clock.
struct ClockMatches: Sendable, Hashable {
    private static let dayMinutes = 1_440

    let minutes: UInt64
    let hours: UInt64
    let days: CronDays

    /// The first match at or after `start` and before `end`.
    func first(from start: Int, before end: Int) -> Int? {
        let (today, time) = Self.split(start)
        let lastDay = Self.split(end).day
        var day = today
        if let time = firstTime(from: time), days.first(from: today, through: today) != nil {
            return Self.join(today, time, ifIn: start..<max(start, end))
        }
        day += 1
        guard day <= lastDay, let found = days.first(from: day, through: lastDay), let time = firstTime(from: 0) else {
            return nil
        }
        return Self.join(found, time, ifIn: start..<max(start, end))
    }

    /// The last match before `end` and not before `start`.
    func last(before end: Int, downTo start: Int) -> Int? {
        let (today, time) = Self.split(end)
        let firstDay = Self.split(start).day
        if let time = lastTime(before: time), days.first(from: today, through: today) != nil {
            return Self.join(today, time, ifIn: start..<max(start, end))
        }
        guard firstDay < today, let found = days.last(through: today - 1, downTo: firstDay),
            let time = lastTime(before: Self.dayMinutes)
        else { return nil }
        return Self.join(found, time, ifIn: start..<max(start, end))
    }

    private static func split(_ minute: Int) -> (day: Int, time: Int) {
        let day = (minute >= 0 ? minute : minute - dayMinutes + 1) / dayMinutes
        return (day, minute - day * dayMinutes)
    }

    private static func join(_ day: Int, _ time: Int, ifIn range: Range<Int>) -> Int? {
        let minute = day * dayMinutes + time
        return range.contains(minute) ? minute : nil
    }

    private func firstTime(from time: Int) -> Int? {
        let hour = time / 60
        let rest = minutes & (~0 << UInt64(time % 60))
        if hours & (1 << UInt64(hour)) != 0, rest != 0 { return hour * 60 + rest.trailingZeroBitCount }
        let later = hours & (~0 << UInt64(hour + 1))
        return later == 0 ? nil : later.trailingZeroBitCount * 60 + minutes.trailingZeroBitCount
    }

    private func lastTime(before time: Int) -> Int? {
        let hour = time / 60
        let rest = minutes & ((1 << UInt64(time % 60)) - 1)
        if hours & (1 << UInt64(hour)) != 0, rest != 0 { return hour * 60 + 63 - rest.leadingZeroBitCount }
        let earlier = hours & ((1 << UInt64(hour)) - 1)
        return earlier == 0 ? nil : (63 - earlier.leadingZeroBitCount) * 60 + 63 - minutes.leadingZeroBitCount
    }
}
