import Synchronization

/// Counts that something happened, so that a test can wait for it instead of sleeping; costs one lock in production.
package final class TestSignal: Sendable {
    private struct State {
        var count = 0
        var waiters: [(at: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }
    private let state = Mutex(State())

    package init() {}

    package func fire() {
        let ready = state.withLock { state in
            state.count += 1
            let now = state.count
            let ready = state.waiters.filter { $0.at <= now }
            state.waiters.removeAll { $0.at <= now }
            return ready.map(\.continuation)
        }
        for continuation in ready { continuation.resume() }
    }

    /// Returns once `fire` was called `count` times since the signal was made.
    package func wait(count: Int = 1) async {
        await withCheckedContinuation { continuation in
            let now = state.withLock { state -> Bool in
                if state.count >= count { return true }
                state.waiters.append((count, continuation))
                return false
            }
            if now { continuation.resume() }
        }
    }
}
