import Synchronization

/// Ends a run at once when somebody asks to cancel it.
final class CancelSignal: Sendable {
    private struct State {
        var fired = false
        var sleeper: CheckedContinuation<Void, Never>?
    }
    private let state = Mutex(State())

    func fire() {
        let sleeper = state.withLock { state in
            state.fired = true
            defer { state.sleeper = nil }
            return state.sleeper
        }
        sleeper?.resume()
    }

    /// Returns once the signal fired. Throws when the task is cancelled before.
    func wait() async throws {
        await untilFiredOrCancelled()
        if !state.withLock({ $0.fired }) { throw CancellationError() }
    }

    private func untilFiredOrCancelled() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let resume = state.withLock { state -> Bool in
                    if state.fired || Task.isCancelled { return true }
                    state.sleeper = continuation
                    return false
                }
                if resume { continuation.resume() }
            }
        } onCancel: {
            state.withLock { state in
                defer { state.sleeper = nil }
                return state.sleeper
            }?.resume()
        }
    }
}

/// Runs a closing step to its end although the task around it is cancelled.
package enum Uncancelled {
    /// Returns when `body` has ended, which must have a deadline of its own: nothing else can stop it.
    package static func run<Result: Sendable>(_ body: @escaping @Sendable () async -> Result) async -> Result {
        // A new task does not inherit cancellation; it is awaited here, so it does not outlive its caller.
        await Task { await body() }.value
    }
}
