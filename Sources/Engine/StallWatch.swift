/// Tells a run that works from one that hangs: a value that is shown the progress now and then.
struct StallWatch: Sendable {
    private let limit: Duration?
    private var stage = ""
    private var steps = -1
    private var since: ContinuousClock.Instant

    init(limit: Duration?, now: ContinuousClock.Instant) {
        self.limit = limit
        since = now
    }

    /// The stage that has stood still for the limit, or nil. A run that waits on purpose does not stand still.
    mutating func observe(
        _ mark: (stage: String, steps: Int, isWaiting: Bool),
        at now: ContinuousClock.Instant
    ) -> String? {
        if mark.stage != stage || mark.steps != steps || mark.isWaiting {
            (stage, steps, since) = (mark.stage, mark.steps, now)
            return nil
        }
        guard let limit, now - since >= limit else { return nil }
        return stage
    }
}
