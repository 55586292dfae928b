package import Dispatch
import Runtime
import Synchronization

/// A value that others wait for: every change looks at the waiting conditions, so that no test has to poll or sleep.
package final class Watched<Value: Sendable>: Sendable {
    private struct Waiter {
        let id: UInt64
        let condition: @Sendable (Value) -> Bool
        let wake: @Sendable (_ cancelled: Bool) -> Void
    }
    private struct State {
        var value: Value
        var waiters: [Waiter] = []
        var nextID: UInt64 = 0
    }
    private let state: Mutex<State>

    package init(_ value: Value) {
        state = Mutex(State(value: value))
    }

    package var value: Value { state.withLock { $0.value } }

    /// Changes the value and wakes those whose condition now holds.
    @discardableResult
    package func change<Result: Sendable>(_ body: (inout Value) -> Result) -> Result {
        let (result, ready) = state.withLock { state in
            let result = body(&state.value)
            let ready = state.waiters.filter { $0.condition(state.value) }
            if !ready.isEmpty {
                let woken = Set(ready.map(\.id))
                state.waiters.removeAll { woken.contains($0.id) }
            }
            return (result, ready)
        }
        for waiter in ready { waiter.wake(false) }
        return result
    }

    /// Returns once the condition holds. Throws `.deadlineExceeded` after `limit`, `CancellationError` when cancelled.
    package func wait(
        within limit: Duration = .seconds(30),
        until condition: @escaping @Sendable (Value) -> Bool
    ) async throws {
        try await withDeadline(limit, during: "test.wait") { try await self.wait(for: condition) }
    }

    /// The same for code without a task; blocks the calling thread. False when time ran out.
    package func waitBlocking(
        within limit: DispatchTimeInterval = .seconds(60),
        until condition: @escaping @Sendable (Value) -> Bool
    ) -> Bool {
        let semaphore = DispatchSemaphore(value: 0)
        let id = add(condition) { _ in semaphore.signal() }
        guard let id else { return true }
        if semaphore.wait(timeout: .now() + limit) == .success { return true }
        remove(id)
        return false
    }

    private func wait(for condition: @escaping @Sendable (Value) -> Bool) async throws {
        let added = Mutex<(id: UInt64?, cancelled: Bool)>((nil, false))
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let id = add(condition) { cancelled in
                    if cancelled { continuation.resume(throwing: CancellationError()) } else { continuation.resume() }
                }
                guard let id else { return continuation.resume() }
                let late = added.withLock { added in
                    added.id = id
                    return added.cancelled
                }
                if late { remove(id)?.wake(true) }
            }
        } onCancel: {
            let id = added.withLock { added in
                added.cancelled = true
                return added.id
            }
            if let id { remove(id)?.wake(true) }
        }
    }

    /// Nil when the condition holds already: the waiter is then never called.
    private func add(
        _ condition: @escaping @Sendable (Value) -> Bool,
        _ wake: @escaping @Sendable (Bool) -> Void
    ) -> UInt64? {
        state.withLock { state in
            if condition(state.value) { return nil }
            state.nextID += 1
            state.waiters.append(Waiter(id: state.nextID, condition: condition, wake: wake))
            return state.nextID
        }
    }

    @discardableResult
    private func remove(_ id: UInt64) -> Waiter? {
        state.withLock { state in
            guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return nil }
            return state.waiters.remove(at: index)
        }
    }
}
