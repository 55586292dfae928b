import Synchronization

/// One call of the driver on a session's thread, and the task that waits for it.
///
/// The driver cannot be interrupted. So a cancelled task is let go at once while the call ends by itself; but never
/// while
/// `deliver` runs, and after it was let go nothing is delivered any more: what the task collected is its own again.
package final class DriverCall<R: Sendable>: Sendable {
    private enum Phase {
        case running, delivering, cancelledWhileDelivering, over
    }
    private struct State {
        var phase = Phase.running
        var continuation: CheckedContinuation<R, any Error>?
        var cancelled = false
    }
    private let state = Mutex(State())

    package init() {}

    /// Keeps the continuation; false when the task is cancelled already, which it then has been told.
    package func begin(_ continuation: CheckedContinuation<R, any Error>) -> Bool {
        let cancelled = state.withLock { state in
            if state.cancelled {
                state.phase = .over
            } else {
                state.continuation = continuation
            }
            return state.cancelled
        }
        if cancelled { continuation.resume(throwing: CancellationError()) }
        return !cancelled
    }

    /// Runs `body` if somebody still waits; false when nobody does, then or by now.
    @inline(__always)
    package func deliver(_ body: () throws -> Void) throws -> Bool {
        let wanted = state.withLock { state in
            guard state.phase == .running else { return false }
            state.phase = .delivering
            return true
        }
        guard wanted else { return false }
        let result = Result { try body() }
        let released = state.withLock { state -> CheckedContinuation<R, any Error>? in
            guard state.phase == .cancelledWhileDelivering else {
                state.phase = .running
                return nil
            }
            state.phase = .over
            return state.continuation.take()
        }
        if let released {
            released.resume(throwing: CancellationError())
            return false
        }
        try result.get()
        return true
    }

    /// Hands the result to the task, unless it was let go.
    package func finish(_ result: Result<R, any Error>) {
        let continuation = state.withLock { state in
            state.phase = .over
            return state.continuation.take()
        }
        continuation?.resume(with: result)
    }

    /// Lets the waiting task go with `CancellationError`; true when that happened now, false when `deliver` is under
    /// way
    /// (it does it when it ends) or nobody waits.
    @discardableResult
    package func cancel() -> Bool {
        let released = state.withLock { state -> CheckedContinuation<R, any Error>? in
            state.cancelled = true
            switch state.phase {
            case .running where state.continuation != nil:
                state.phase = .over
                return state.continuation.take()
            case .delivering:
                state.phase = .cancelledWhileDelivering
                return nil
            case .running, .cancelledWhileDelivering, .over: return nil
            }
        }
        released?.resume(throwing: CancellationError())
        return released != nil
    }
}
