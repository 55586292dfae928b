import Synchronization

/// Places of a pool: at most `capacity` are taken at a time, further takers wait in the order they came (INV-8).
package final class Slots: Sendable {
    /// One place; it is free again when the last reference goes: none is lost on its way to a taker who gave up.
    package final class Slot: Sendable {
        private let owner: Slots
        fileprivate init(_ owner: Slots) { self.owner = owner }
        deinit { owner.release() }
    }

    private struct Waiter {
        let id: UInt64
        let continuation: CheckedContinuation<Slot, any Error>
    }
    private struct State {
        var used = 0
        var waiters: [Waiter] = []
        var cancelled: Set<UInt64> = []
        var nextID: UInt64 = 0
    }

    package let capacity: Int
    private let state = Mutex(State())

    /// - Parameter capacity: at least 1; smaller values are raised to 1.
    package init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    package var counts: (used: Int, waiting: Int) {
        state.withLock { ($0.used, $0.waiters.count) }
    }

    /// A free place; throws `.deadlineExceeded` naming `stage` when none came free within `limit`.
    package func acquire(within limit: Duration, during stage: StaticString) async throws -> Slot {
        if let slot = claim() { return slot }
        return try await withDeadline(limit, during: stage) { try await self.wait() }
    }

    private func claim() -> Slot? {
        let free = state.withLock { state -> Bool in
            guard state.used < capacity else { return false }
            state.used += 1
            return true
        }
        return free ? Slot(self) : nil
    }

    private func wait() async throws -> Slot {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        defer { _ = state.withLock { $0.cancelled.remove(id) } }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                enqueue(Waiter(id: id, continuation: continuation))
            }
        } onCancel: {
            cancel(id)
        }
    }

    private func enqueue(_ waiter: Waiter) {
        enum Outcome { case granted, cancelled, queued }
        let outcome = state.withLock { state -> Outcome in
            if state.cancelled.remove(waiter.id) != nil { return .cancelled }
            guard state.used >= capacity else {
                state.used += 1
                return .granted
            }
            state.waiters.append(waiter)
            return .queued
        }
        switch outcome {
        case .granted: waiter.continuation.resume(returning: Slot(self))
        case .cancelled: waiter.continuation.resume(throwing: CancellationError())
        case .queued: break
        }
    }

    private func cancel(_ id: UInt64) {
        let waiter = state.withLock { state -> Waiter? in
            guard let index = state.waiters.firstIndex(where: { $0.id == id }) else {
                state.cancelled.insert(id)
                return nil
            }
            return state.waiters.remove(at: index)
        }
        waiter?.continuation.resume(throwing: CancellationError())
    }

    /// Hands the place to the first who waits; a cancelled receiver drops it, which comes back here.
    private func release() {
        let next = state.withLock { state -> Waiter? in
            guard state.waiters.isEmpty else { return state.waiters.removeFirst() }
            state.used -= 1
            return nil
        }
        next?.continuation.resume(returning: Slot(self))
    }
}
