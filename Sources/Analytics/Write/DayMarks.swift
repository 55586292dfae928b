import Engine
import Postgres
import Runtime

/// A backfill under way: which run began it, and the first days of the windows it has behind it.
struct Backfill: Sendable {
    let generation: String
    let done: Set<CalendarDay>
}

/// A job's watermarks: the newest day, each day, each window of a backfill and each backfill.
struct DayMarks: Sendable {
    private static let running = "running"
    private static let finished = "done"

    let job: JobName

    private func key(_ scope: String) -> WatermarkKey {
        WatermarkKey(source: "analytics", table: job.rawValue, accountID: "", scope: scope)
    }

    private func windowKey(_ window: [CalendarDay]) -> WatermarkKey? {
        guard let first = window.first, let last = window.last else { return nil }
        return key("window/\(first)/\(last)")
    }

    private func planKey(_ plan: DayPlan) -> WatermarkKey? {
        guard let first = plan.days.first, let last = plan.last else { return nil }
        return key("backfill/\(first)/\(last)/\(plan.windows[0].count)")
    }

    /// What is computed of the days that a run of the day behind `yesterday` may catch up with.
    func computed(through yesterday: CalendarDay, on connection: PGConnection) async throws -> ComputedDays {
        let first = try await Watermarks.scopes(
            from: key("1970-01-01"),
            through: "9999-12-31",
            limit: 1,
            on: connection
        )
        let earliest = yesterday.advanced(by: -DayPlan.catchUpDaysMax)
        let days = try await Watermarks.scopes(
            from: key("\(earliest)"),
            through: "\(yesterday)",
            limit: DayPlan.catchUpDaysMax + 1,
            on: connection
        )
        return ComputedDays(
            newest: try await newest(on: connection),
            first: first.first.flatMap { CalendarDay($0) },
            days: Set(days.compactMap { CalendarDay($0) })
        )
    }

    /// The newest day computed so far.
    private func newest(on connection: PGConnection) async throws -> CalendarDay? {
        let mark = try await Watermarks.read(key(""), on: connection)
        return mark?.value.flatMap { CalendarDay($0) }
    }

    func day(_ day: CalendarDay, on connection: PGConnection) async throws -> Watermark? {
        try await Watermarks.read(key("\(day)"), on: connection)
    }

    /// The state of a backfill of exactly these windows; begins to count anew when the last one came to its end.
    func backfill(_ plan: DayPlan, _ run: RunID, on connection: PGConnection) async throws -> Backfill? {
        guard let planKey = planKey(plan) else { return nil }
        guard let mark = try await Watermarks.read(planKey, on: connection), mark.value == Self.running,
            let generation = mark.id
        else { return Backfill(generation: "\(run)", done: []) }
        var done: Set<CalendarDay> = []
        for window in plan.windows {
            guard let key = windowKey(window), let mark = try await Watermarks.read(key, on: connection) else {
                continue
            }
            if mark.id == generation { done.insert(window[0]) }
        }
        return Backfill(generation: generation, done: done)
    }

    /// Moves the marks of the window's days that have ended on, inside the transaction that writes its rows (INV-1).
    func advance(
        _ window: [CalendarDay],
        digests: [CalendarDay: RowDigest],
        in connection: PGConnection
    ) async throws {
        for day in window {
            // The day and its rows are what count; an instant would go back when the zone is changed.
            let mark = Watermark(value: (digests[day] ?? RowDigest()).hex)
            try await move(key("\(day)"), to: mark, in: connection)
        }
        guard let last = window.last else { return }
        let newest = try await newest(on: connection)
        if newest.map({ $0 < last }) ?? true {
            try await move(key(""), to: Watermark(value: "\(last)"), in: connection)
        }
    }

    /// Notes a window of a backfill as done, and with its last window the backfill.
    func advance(
        _ backfill: Backfill,
        _ window: [CalendarDay],
        of plan: DayPlan,
        in connection: PGConnection
    ) async throws {
        guard let windowKey = windowKey(window), let planKey = planKey(plan) else { return }
        let isLast = window == plan.windows.last
        try await move(windowKey, to: Watermark(value: Self.finished, id: backfill.generation), in: connection)
        let state = Watermark(value: isLast ? Self.finished : Self.running, id: backfill.generation)
        try await move(planKey, to: state, in: connection)
    }

    private func move(_ key: WatermarkKey, to next: Watermark, in connection: PGConnection) async throws {
        let previous = try await Watermarks.read(key, on: connection)
        try await Watermarks.advance(key, from: previous, to: next, in: connection)
    }
}
