package import Foundation

/// What becomes of a fire: decided here, carried out by the scheduler, tested through every sequence of events.
package enum FireRule {
    /// The scheduler's next step with one fire.
    package enum Step: Sendable, Equatable {
        /// Begin its run.
        case start
        /// Its run is known to have begun.
        case started
        /// One fire waits until the job's run has ended.
        case wait
        /// It runs no more. `isRecorded`: as a skipped run in the ledger too.
        case skip(isRecorded: Bool)
        /// It stays as it is.
        case leave
    }

    /// How a fire that fell due just now goes on record: one of a paused job is over at once, so that resuming makes
    /// nothing up. One that was missed and is made up waits for its turn, whatever the overlap policy: each gets its
    /// run.
    package static func fallsDue(isPaused: Bool, isMadeUp: Bool) -> FireOutcome {
        if isPaused { return .skipped }
        return isMadeUp ? .waiting : .due
    }

    /// A fire on record of which nobody knows whether its run began: its leader died, or it waits.
    ///
    /// - Parameters:
    ///   - window: its schedule's misfire window in seconds; nil when the job has no schedule any more.
    ///   - mayStart: neither the job is paused nor the schedule stopped; otherwise the fire is held.
    package static func isOpen(hasRun: Bool, age: TimeInterval, window: TimeInterval?, mayStart: Bool) -> Step {
        if hasRun { return .started }
        guard let window, age < window else { return .skip(isRecorded: false) }
        return mayStart ? .start : .leave
    }

    /// A fire whose job still runs.
    package static func meetsRun(_ fire: FireOutcome, _ policy: OverlapPolicy, anotherWaits: Bool) -> Step {
        if fire == .waiting { return .leave }
        return policy == .queue && !anotherWaits ? .wait : .skip(isRecorded: true)
    }
}
