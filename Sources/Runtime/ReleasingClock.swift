import Dispatch
import Synchronization

/// The continuous clock, with sleeps that leave nothing behind once they are cancelled.
///
/// `Task.sleep` of Swift 6.3 on Linux keeps the sleeping task and its timer until the instant it was to sleep for, also
/// when it is cancelled at once: a deadline of a minute around each of a hundred calls a second would hold six thousand
/// of them.
package struct ReleasingClock: Clock {
    package init() {}

    package var now: ContinuousClock.Instant { ContinuousClock().now }
    package var minimumResolution: Duration { ContinuousClock().minimumResolution }

    /// Throws `CancellationError` as soon as the task is cancelled.
    package func sleep(until deadline: ContinuousClock.Instant, tolerance: Duration?) async throws {
        try Task.checkCancellation()
        let nap = Nap()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { nap.begin(for: now.duration(to: deadline), $0) }
        } onCancel: {
            nap.end(CancellationError())
        }
    }
}

/// One sleep: a timer and who waits for it, until either ends it.
private final class Nap: Sendable {
    private struct State {
        var waiter: CheckedContinuation<Void, any Error>?
        var timer: (any DispatchSourceTimer)?
        var isOver = false
    }
    private let state = Mutex(State())

    func begin(for duration: Duration, _ waiter: CheckedContinuation<Void, any Error>) {
        let isOver = state.withLock { state in
            guard !state.isOver else { return true }
            let timer = DispatchSource.makeTimerSource(queue: .global())
            timer.setEventHandler { [self] in end(nil) }
            timer.schedule(deadline: .now() + Self.interval(duration))
            timer.activate()
            state.timer = timer
            state.waiter = waiter
            return false
        }
        if isOver { waiter.resume(throwing: CancellationError()) }
    }

    /// Only the first end counts.
    func end(_ error: (any Error)?) {
        let waiter = state.withLock { state in
            state.isOver = true
            state.timer?.cancel()
            state.timer = nil
            defer { state.waiter = nil }
            return state.waiter
        }
        if let error { waiter?.resume(throwing: error) } else { waiter?.resume() }
    }

    private static func interval(_ duration: Duration) -> DispatchTimeInterval {
        // Beyond a century a sleep is one without end.
        let (seconds, attoseconds) = min(duration, .seconds(3_000_000_000)).components
        return .nanoseconds(max(0, Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000)))
    }
}
