package import Engine
import Runtime

/// Which days a run computes, cut into windows: each is read under one snapshot and committed in one transaction.
package struct DayPlan: Sendable, Equatable {
    /// At most so many days a run; a backfill of more is several runs.
    static let daysMax = 3_660
    /// A run by schedule reaches back over days nobody computed, so far and no further.
    static let catchUpDaysMax = 92

    package let windows: [[CalendarDay]]
    /// The day under way: it may be computed, but is not done.
    package let today: CalendarDay
    package let isBackfill: Bool

    package var days: [CalendarDay] { windows.flatMap { $0 } }
    package var last: CalendarDay? { windows.last?.last }

    /// What the options ask for. Without any: yesterday, the days before it that late data may still reach, and those
    /// that were left out, as `ComputedDays.due` says.
    ///
    /// Throws `.requestInvalid` for options that contradict each other, a day that does not exist, or one that has not
    /// begun.
    package init(
        _ options: RunOptions,
        today: CalendarDay,
        lookbackDays: Int,
        computed: ComputedDays = ComputedDays()
    ) throws {
        self.today = today
        let days: [CalendarDay]
        if let range = try Self.asked(options, today: today) {
            guard range.upperBound <= today else { throw Self.refuse("the last day has not begun yet") }
            guard range.count <= Self.daysMax else { throw Self.refuse("a run covers at most \(Self.daysMax) days") }
            days = Array(range)
        } else {
            days = computed.due(through: today.advanced(by: -1), lookbackDays: lookbackDays)
        }
        isBackfill = options.backfill == true
        if isBackfill, options.startDate == nil { throw Self.refuse("a backfill needs a start date") }
        if !isBackfill, options.batchDays != nil { throw Self.refuse("batch days belong to a backfill") }
        let width = isBackfill ? options.batchDays ?? 7 : 1
        windows = stride(from: 0, to: days.count, by: width).map { Array(days[$0..<min($0 + width, days.count)]) }
    }

    /// Nil when the options name no days.
    private static func asked(_ options: RunOptions, today: CalendarDay) throws -> ClosedRange<CalendarDay>? {
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
        return nil
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
