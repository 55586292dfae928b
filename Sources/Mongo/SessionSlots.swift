import Runtime
import Synchronization

/// Counts sessions: at most `capacity` at a time, further ones wait in the order they came (INV-8).
final class SessionSlots: Sendable {
    /// One place in the pool; it is free again when the last reference goes.
    final class Slot: Sendable {
        private let owner: SessionSlots
        fileprivate init(_ owner: SessionSlots) { self.owner = owner }
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

    let capacity: Int
    private let state = Mutex(State())

    init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    var counts: (used: Int, waiting: Int) {
        state.withLock { ($0.used, $0.waiters.count) }
    }

    /// A free place; throws `.deadlineExceeded` when none came free within `limit`.
    func acquire(within limit: Duration) async throws -> Slot {
        if let slot = claim() { return slot }
        return try await withDeadline(limit, during: "mongo.acquire") { try await self.wait() }
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
