/// Which days a job has computed, after its marks.
package struct ComputedDays: Sendable {
    /// How far the job has come; what lies behind it is computed, marked or not, when an operator moves it back.
    package let newest: CalendarDay?
    /// The first day that was ever computed.
    package let first: CalendarDay?
    /// The marked ones of the days that a run may still catch up with.
    package let days: Set<CalendarDay>

    package init(newest: CalendarDay? = nil, first: CalendarDay? = nil, days: Set<CalendarDay> = []) {
        self.newest = newest
        self.first = first
        self.days = days
    }

    /// The days a run without options computes: `yesterday`, the lookback before it, and what is missing of the last
    /// `DayPlan.catchUpDaysMax` days, with the day before each gap and its lookback: it was cut short by the gap.
    ///
    /// Days before the first one ever computed are nobody's gap.
    package func due(through yesterday: CalendarDay, lookbackDays: Int) -> [CalendarDay] {
        var due = Set(yesterday.advanced(by: -lookbackDays)...yesterday)
        guard let oldest = [first, newest].compactMap({ $0 }).min() else { return due.sorted() }
        let earliest = max(oldest, yesterday.advanced(by: -DayPlan.catchUpDaysMax))
        // Yesterday itself is missing whenever its turn comes.
        for day in stride(from: earliest, to: yesterday, by: 1) where isMissing(day) {
            due.formUnion(stride(from: max(earliest, day.advanced(by: -1 - lookbackDays)), through: day, by: 1))
        }
        return due.sorted()
    }

    private func isMissing(_ day: CalendarDay) -> Bool {
        !days.contains(day) || newest.map { $0 < day } ?? false
    }
}
