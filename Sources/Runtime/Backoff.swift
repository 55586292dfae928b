/// Exponential backoff with full jitter: attempt n waits a uniform time in 0…min(ceiling, base·2ⁿ).
///
/// Follows "Exponential Backoff And Jitter" (AWS Architecture Blog).
package struct Backoff: Sendable, Equatable {
    package let base: Duration
    package let ceiling: Duration
    package let attemptsMax: Int

    package init(base: Duration = .milliseconds(200), ceiling: Duration = .seconds(30), attemptsMax: Int = 6) {
        self.base = base
        self.ceiling = ceiling
        self.attemptsMax = attemptsMax
    }

    /// The wait before retry number `attempt` (0 is the first), or nil when none is left.
    package func delay(attempt: Int, using random: inout some RandomNumberGenerator) -> Duration? {
        guard attempt >= 0, attempt < attemptsMax else { return nil }
        let bound = min(ceiling, base * (1 << min(attempt, 30)))
        return bound * Double.random(in: 0...1, using: &random)
    }
}
