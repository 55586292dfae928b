package import Engine
import Runtime

/// Which days a run computes, cut into windows: each is read under one snapshot and committed in one transaction.
package struct DayPlan: Sendable, Equatable {
    /// At most so many days a run; a backfill of more is several runs.
    static let daysMax = 3_660
    /// A run by schedule reaches back over days nobody computed, so far and no further.
    static let catchUpDaysMax = 92

    package let windows: [[CalendarDay]]
    package let isBackfill: Bool

    package var days: [CalendarDay] { windows.flatMap { $0 } }
    package var last: CalendarDay? { windows.last?.last }

    /// What the options ask for. Without any: yesterday, and the days before it that late data may still reach.
    ///
    /// `newest` is the newest day computed so far; days after it are caught up with. Throws `.requestInvalid` for
    /// options that contradict each other, a day that does not exist, or one that has not begun.
    package init(
        _ options: RunOptions,
        today: CalendarDay,
        lookbackDays: Int,
        newest: CalendarDay?
    ) throws {
        let range = try Self.range(options, today: today, lookbackDays: lookbackDays, newest: newest)
        guard range.upperBound <= today else { throw Self.refuse("the last day has not begun yet") }
        guard range.count <= Self.daysMax else { throw Self.refuse("a run covers at most \(Self.daysMax) days") }
        isBackfill = options.backfill == true
        if isBackfill, options.startDate == nil { throw Self.refuse("a backfill needs a start date") }
        if !isBackfill, options.batchDays != nil { throw Self.refuse("batch days belong to a backfill") }
        let width = isBackfill ? options.batchDays ?? 7 : 1
        let first = range.lowerBound
        windows = stride(from: 0, to: range.count, by: width).map { offset in
            (offset..<min(offset + width, range.count)).map { first.advanced(by: $0) }
        }
    }

    private static func range(
        _ options: RunOptions,
        today: CalendarDay,
        lookbackDays: Int,
        newest: CalendarDay?
    ) throws -> ClosedRange<CalendarDay> {
        let yesterday = today.advanced(by: -1)
        let ways = [options.date != nil, options.startDate != nil || options.endDate != nil, options.daysBack != nil]
        guard ways.count(where: { $0 }) <= 1 else {
            throw refuse("date, start and end date, and days back exclude each other")
        }
        if let date = options.date {
            let day = try self.day(date)
            return day...day
        }
        if let back = options.daysBack { return today.advanced(by: -back)...yesterday }
        if let start = options.startDate {
            let first = try day(start)
            let last = try options.endDate.map { try day($0) } ?? yesterday
            guard first <= last else { throw refuse("the start date lies after the end date") }
            return first...last
        }
        guard options.endDate == nil else { throw refuse("an end date needs a start date") }
        var first = yesterday.advanced(by: -lookbackDays)
        if let newest, newest < yesterday {
            first = min(first, max(newest.advanced(by: 1), yesterday.advanced(by: -catchUpDaysMax)))
        }
        return first...yesterday
    }

    private static func day(_ text: String) throws -> CalendarDay {
        guard let day = CalendarDay(text) else { throw refuse("a date must be a day that exists, as YYYY-MM-DD") }
        return day
    }

    private static func refuse(_ what: String) -> TallyError {
        TallyError(.requestInvalid, during: "analytics.plan", what)
    }
}

extension CalendarDay: Strideable {
    package func distance(to other: CalendarDay) -> Int { other.number - number }
}
