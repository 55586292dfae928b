import Synchronization

/// One call of the driver on a session's thread, and the task that waits for it.
///
/// The driver cannot be interrupted. So a cancelled task is let go at once while the call ends by itself; but never
/// while
/// `deliver` runs, and after it was let go nothing is delivered any more: what the task collected is its own again.
package final class DriverCall<R: Sendable>: Sendable {
    /// Raw values, since an atomic holds numbers.
    private enum Phase {
        static var running: UInt8 { 0 }
        static var delivering: UInt8 { 1 }
        static var cancelledWhileDelivering: UInt8 { 2 }
        static var over: UInt8 { 3 }
    }
    private struct Waiting {
        var continuation: CheckedContinuation<R, any Error>?
        var cancelled = false
    }
    // Apart from the lock, because `deliver` runs for each document: two exchanges instead of four.
    private let phase = Atomic<UInt8>(0)
    private let waiting = Mutex(Waiting())

    package init() {}

    /// Keeps the continuation; false when the task is cancelled already, which it then has been told.
    package func begin(_ continuation: CheckedContinuation<R, any Error>) -> Bool {
        let cancelled = waiting.withLock { waiting in
            if waiting.cancelled {
                phase.store(Phase.over, ordering: .sequentiallyConsistent)
            } else {
                waiting.continuation = continuation
            }
            return waiting.cancelled
        }
        if cancelled { continuation.resume(throwing: CancellationError()) }
        return !cancelled
    }

    /// Runs `body` if somebody still waits; false when nobody does, then or by now.
    @inline(__always)
    package func deliver(_ body: () throws -> Void) throws -> Bool {
        guard exchange(Phase.running, Phase.delivering) else { return false }
        let result = Result { try body() }
        guard exchange(Phase.delivering, Phase.running) else {
            letGo()
            return false
        }
        try result.get()
        return true
    }

    @inline(__always)
    private func exchange(_ from: UInt8, _ to: UInt8) -> Bool {
        phase.compareExchange(expected: from, desired: to, ordering: .sequentiallyConsistent).exchanged
    }

    private func letGo() {
        phase.store(Phase.over, ordering: .sequentiallyConsistent)
        waiting.withLock { $0.continuation.take() }?.resume(throwing: CancellationError())
    }

    /// Hands the result to the task, unless it was let go.
    package func finish(_ result: Result<R, any Error>) {
        let continuation = waiting.withLock { waiting in
            phase.store(Phase.over, ordering: .sequentiallyConsistent)
            return waiting.continuation.take()
        }
        continuation?.resume(with: result)
    }

    /// Lets the waiting task go with `CancellationError`; true when that happened now, false when `deliver` is under
    /// way (it does it when it ends) or nobody waits.
    @discardableResult
    package func cancel() -> Bool {
        let released = waiting.withLock { waiting -> CheckedContinuation<R, any Error>? in
            waiting.cancelled = true
            while true {
                if phase.load(ordering: .sequentiallyConsistent) == Phase.running {
                    guard waiting.continuation != nil else { return nil }
                    if exchange(Phase.running, Phase.over) { return waiting.continuation.take() }
                } else if exchange(Phase.delivering, Phase.cancelledWhileDelivering) {
                    return nil
                } else if phase.load(ordering: .sequentiallyConsistent) > Phase.delivering {
                    return nil
                }
            }
        }
        released?.resume(throwing: CancellationError())
        return released != nil
    }
}
