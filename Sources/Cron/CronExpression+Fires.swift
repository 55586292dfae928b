package import Foundation

/// Fires are looked for on the clock, a month at a time; the zone is asked only around what was found there.
extension CronExpression {
    private static let dayMinutes = 1_440
    /// How far `next` and `previous` look.
    private static let reach = 50 * 366 * dayMinutes

    /// The first fire after `date`; nil when there is none within 50 years.
    package func next(after date: Date, in zone: TimeZone) -> Date? {
        guard var cursor = Self.minute(of: date, .down).map({ $0 + 1 }) else { return nil }
        let horizon = cursor + Self.reach
        while cursor < horizon {
            let stretch = ZoneStretch(at: cursor, in: zone, lookBack: isFixedTime ? ZoneStretch.longestShift : 0)
            var local = cursor + stretch.offset
            if isFixedTime {
                // What the clock skipped fires at once after the gap.
                if stretch.start == cursor, firesIn(stretch.skipped) { return Self.date(ofMinute: cursor) }
                // What it shows a second time has fired.
                if stretch.repeated.contains(local) { local = stretch.repeated.upperBound }
            }
            guard let found = clock.first(from: local, before: horizon + stretch.offset) else { return nil }
            guard let end = stretch.end, found >= end + stretch.offset else {
                return Self.date(ofMinute: found - stretch.offset)
            }
            // The clock may go back at the end and show its last minutes again. From there to the next match, whatever
            // the zone does, nothing fires.
            let from = end + stretch.offset - ZoneStretch.longestShift
            let coming = clock.first(from: from, before: horizon + stretch.offset) ?? found
            cursor = max(end, coming - stretch.offset - 2 * ZoneStretch.longestShift)
        }
        return nil
    }

    /// The last fire before `date`; nil when there is none within 50 years.
    package func previous(before date: Date, in zone: TimeZone) -> Date? {
        guard var cursor = Self.minute(of: date, .up) else { return nil }
        let horizon = cursor - Self.reach
        let lookBack = 200 * Self.dayMinutes
        while cursor > horizon {
            let last = cursor - 1
            let stretch = ZoneStretch(at: last, in: zone, lookBack: lookBack + ZoneStretch.longestShift)
            let start = stretch.start ?? last - lookBack
            guard let found = clock.last(before: cursor + stretch.offset, downTo: horizon + stretch.offset) else {
                return nil
            }
            let fired = isFixedTime && !stretch.repeated.isEmpty
            if found >= (fired ? stretch.repeated.upperBound : start + stretch.offset) {
                return Self.date(ofMinute: found - stretch.offset)
            }
            if isFixedTime, firesIn(stretch.skipped) { return Self.date(ofMinute: start) }
            let before = start + stretch.offset + ZoneStretch.longestShift
            let past = clock.last(before: before, downTo: horizon + stretch.offset) ?? found
            cursor = min(start, past - stretch.offset + 2 * ZoneStretch.longestShift)
        }
        return nil
    }

    private func firesIn(_ local: Range<Int>) -> Bool {
        clock.first(from: local.lowerBound, before: local.upperBound) != nil
    }

    /// nil for an instant that no calendar has.
    private static func minute(of date: Date, _ rule: FloatingPointRoundingRule) -> Int? {
        let minutes = (date.timeIntervalSince1970 / 60).rounded(rule)
        return abs(minutes) < 1e10 ? Int(minutes) : nil
    }

    private static func date(ofMinute minute: Int) -> Date { Date(timeIntervalSince1970: Double(minute) * 60) }
}
