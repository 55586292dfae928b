import Synchronization

/// Where one task at a time waits, until the first of: what it waits for, its limit, its cancellation.
final class WaitingPlace: Sendable {
    enum Outcome: Sendable { case ready, timedOut, cancelled }

    private struct State {
        var continuation: UnsafeContinuation<Outcome, Never>?
        /// When the wait is over, on the shard's clock.
        var end = UInt64.max
        /// What is waited for came while nobody waited.
        var isReady = false
        /// It will not go away any more, as the end of a connection does not.
        var isReadyForGood = false

        /// Takes a readiness that nobody has used yet.
        mutating func take() -> Bool {
            defer { isReady = isReadyForGood }
            return isReady
        }
    }

    private let state = Mutex(State())

    /// Ends the wait, or the next one when nobody waits.
    ///
    /// - Parameter forGood: ends every later one too.
    func makeReady(forGood: Bool = false) {
        let continuation = state.withLock { state in
            state.isReadyForGood = state.isReadyForGood || forGood
            defer { state.continuation = nil }
            state.isReady = state.continuation == nil || state.isReadyForGood
            return state.continuation
        }
        continuation?.resume(returning: .ready)
    }

    /// Whether no wait will last any more.
    var isReadyForGood: Bool { state.withLock { $0.isReadyForGood } }

    /// - Parameter end: on `Shard.now`'s clock.
    func wait(on shard: Shard, until end: UInt64) async -> Outcome {
        if state.withLock({ $0.take() }) { return .ready }
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let isWaiting = state.withLock { state in
                    guard !state.take() else { return false }
                    state.continuation = continuation
                    state.end = end
                    return true
                }
                guard isWaiting else { return continuation.resume(returning: .ready) }
                shard.wake(at: end)
                // A cancellation that came before there was anything to cancel.
                if Task.isCancelled { finish(.cancelled) }
            }
        } onCancel: {
            finish(.cancelled)
        }
    }

    /// Ends a wait whose limit has come; returns when the one that goes on is over, `.max` when there is none.
    func expire(_ now: UInt64) -> UInt64 {
        let end = state.withLock { $0.continuation == nil ? .max : $0.end }
        guard end <= now else { return end }
        finish(.timedOut)
        return .max
    }

    private func finish(_ outcome: Outcome) {
        let continuation = state.withLock { state in
            defer { state.continuation = nil }
            return state.continuation
        }
        continuation?.resume(returning: outcome)
    }
}
