package import Engine
package import Foundation
import Runtime

/// The run's time is spent on waiting: what was read is committed, and the next run goes on from there.
package struct PullPaused: Error, Sendable, Equatable {
    package let wait: Duration
}

/// A page token that the vendor no longer takes: the window is read again from its beginning.
package struct PageTokenExpired: Error, Sendable, Equatable {
    package init() {}
}

/// Lets calls through at the pace a vendor allows, across replicas, and shows the waiting as progress.
package struct Throttle: Sendable {
    package let limits: any RateLimiting
    private let progress: Engine.Progress
    private let budgetEnds: Date
    private let now: @Sendable () -> Date
    private let sleep: @Sendable (Duration) async throws -> Void

    package init(
        limits: any RateLimiting,
        progress: Engine.Progress,
        budgetEnds: Date,
        now: @escaping @Sendable () -> Date = { Date() },
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
    ) {
        self.limits = limits
        self.progress = progress
        self.budgetEnds = budgetEnds
        self.now = now
        self.sleep = sleep
    }

    /// Returns when the call may be made. Throws `PullPaused` when that would be after the run's time.
    package func pass(_ bucket: String, cost: Double, allowance: RateAllowance, stage: String) async throws {
        let wait = try await limits.reserve(bucket, cost: cost, allowance: allowance)
        guard wait > .zero else { return }
        if now().addingTimeInterval(Double(wait.components.seconds)) >= budgetEnds {
            try await limits.giveBack(bucket, cost: cost)
            throw PullPaused(wait: wait)
        }
        progress.stage("\(stage): waiting \(max(1, wait.components.seconds)) s for the vendor's rate limit")
        progress.note(waiting: true)
        defer { progress.note(waiting: false) }
        do {
            try await sleep(wait)
        } catch {
            try? await limits.giveBack(bucket, cost: cost)
            throw error
        }
        progress.stage(stage)
    }

    /// Waits for something the vendor is making; shown as progress. Throws `PullPaused` when the run's time is spent.
    package func wait(_ duration: Duration, stage: String) async throws {
        guard now().addingTimeInterval(duration.inSeconds) < budgetEnds else { throw PullPaused(wait: duration) }
        progress.stage("\(stage): waiting for the vendor")
        progress.note(waiting: true)
        defer { progress.note(waiting: false) }
        try await sleep(duration)
    }

    package func observe(_ bucket: String, _ observation: RateObservation, allowance: RateAllowance) async throws {
        try await limits.observe(bucket, observation, allowance: allowance)
    }
}
