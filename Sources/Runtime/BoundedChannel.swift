import Synchronization

/// A queue between tasks that holds at most `capacity` elements: a full one suspends its sender, an empty one its
/// receiver.
///
/// Several senders and receivers may use it. `finish` lets receivers drain what is queued and then ends them, with an
/// error when one is given. Cancelling a waiting task wakes it with `CancellationError`; nothing sent before is lost.
package final class BoundedChannel<Element: Sendable>: Sendable {
    private struct Sender {
        let id: UInt64
        let element: Element
        let continuation: CheckedContinuation<Void, any Error>
    }
    private struct Receiver {
        let id: UInt64
        let continuation: CheckedContinuation<Element?, any Error>
    }
    private struct State {
        var buffer: [Element] = []
        var senders: [Sender] = []
        var receivers: [Receiver] = []
        var cancelled: Set<UInt64> = []
        var finished = false
        var failure: (any Error)?
        var nextID: UInt64 = 0
    }

    private let capacity: Int
    private let state = Mutex(State())

    /// - Parameter capacity: at least 1; smaller values are raised to 1.
    package init(capacity: Int) {
        self.capacity = max(1, capacity)
    }

    /// Adds an element, waiting while the channel is full. Throws what `finish(throwing:)` gave, or
    /// `CancellationError` when the channel is finished or the task cancelled.
    package func send(_ element: Element) async throws {
        let id = newID()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                state.withLock { state in
                    if state.cancelled.remove(id) != nil || state.finished {
                        continuation.resume(throwing: state.failure ?? CancellationError())
                    } else if !state.receivers.isEmpty {
                        state.receivers.removeFirst().continuation.resume(returning: element)
                        continuation.resume()
                    } else if state.buffer.count < capacity {
                        state.buffer.append(element)
                        continuation.resume()
                    } else {
                        state.senders.append(Sender(id: id, element: element, continuation: continuation))
                    }
                }
            }
        } onCancel: {
            cancel(id)
        }
        forget(id)
    }

    /// The next element, or nil once the channel is finished and drained.
    package func receive() async throws -> Element? {
        let id = newID()
        defer { forget(id) }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Element?, any Error>) in
                state.withLock { state in
                    if state.cancelled.remove(id) != nil {
                        continuation.resume(throwing: CancellationError())
                    } else if !state.buffer.isEmpty {
                        let element = state.buffer.removeFirst()
                        if !state.senders.isEmpty {
                            let sender = state.senders.removeFirst()
                            state.buffer.append(sender.element)
                            sender.continuation.resume()
                        }
                        continuation.resume(returning: element)
                    } else if state.finished {
                        if let failure = state.failure {
                            continuation.resume(throwing: failure)
                        } else {
                            continuation.resume(returning: nil)
                        }
                    } else {
                        state.receivers.append(Receiver(id: id, continuation: continuation))
                    }
                }
            }
        } onCancel: {
            cancel(id)
        }
    }

    /// The next element when one is there, without waiting; lets a waiting sender in.
    @discardableResult
    package func takeNow() -> Element? {
        state.withLock { state in
            guard !state.buffer.isEmpty else { return nil }
            let element = state.buffer.removeFirst()
            if !state.senders.isEmpty {
                let sender = state.senders.removeFirst()
                state.buffer.append(sender.element)
                sender.continuation.resume()
            }
            return element
        }
    }

    /// Adds an element without waiting; false when the channel is full or finished.
    package func offer(_ element: Element) -> Bool {
        state.withLock { state in
            if state.finished { return false }
            if !state.receivers.isEmpty {
                state.receivers.removeFirst().continuation.resume(returning: element)
                return true
            }
            guard state.buffer.count < capacity else { return false }
            state.buffer.append(element)
            return true
        }
    }

    /// Whether somebody waits in `receive` right now; a hint, since the next moment may differ.
    package var isAwaited: Bool { state.withLock { !$0.receivers.isEmpty } }

    /// Ends the channel once; later calls change nothing.
    package func finish(throwing failure: (any Error)? = nil) {
        state.withLock { state in
            guard !state.finished else { return }
            state.finished = true
            state.failure = failure
            for receiver in state.receivers {
                if let failure {
                    receiver.continuation.resume(throwing: failure)
                } else {
                    receiver.continuation.resume(returning: nil)
                }
            }
            state.receivers = []
            for sender in state.senders { sender.continuation.resume(throwing: failure ?? CancellationError()) }
            state.senders = []
        }
    }

    private func newID() -> UInt64 {
        state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
    }

    private func forget(_ id: UInt64) {
        _ = state.withLock { $0.cancelled.remove(id) }
    }

    private func cancel(_ id: UInt64) {
        state.withLock { state in
            if let index = state.receivers.firstIndex(where: { $0.id == id }) {
                state.receivers.remove(at: index).continuation.resume(throwing: CancellationError())
            } else if let index = state.senders.firstIndex(where: { $0.id == id }) {
                state.senders.remove(at: index).continuation.resume(throwing: CancellationError())
            } else {
                state.cancelled.insert(id)
            }
        }
    }
}
