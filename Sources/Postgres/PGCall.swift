import Dispatch
import Synchronization

/// One blocking libpq call that may have to be given up: first by asking the server, then by closing the socket.
///
/// `PQcancel` needs a connection of its own and a server that listens; a call that has not come back a second later
/// loses its socket, which ends it whatever the other side does.
final class PGCall: Sendable {
    private let handle: PGHandle
    private let ended = Mutex(false)

    init(_ handle: PGHandle) { self.handle = handle }

    /// The call came back; the socket is left alone from now on.
    func end() { ended.withLock { $0 = true } }

    func cancel() {
        DispatchQueue.global().async { [handle] in handle.cancel() }
        limit(seconds: 1)
    }

    /// Asks the server like `cancel` and waits until it took the request; false when it did not within a second.
    func cancelAndWait() -> Bool {
        let taken = DispatchSemaphore(value: 0)
        DispatchQueue.global().async { [handle] in
            handle.cancel()
            taken.signal()
        }
        limit(seconds: 1)
        return taken.wait(timeout: .now() + 1) == .success
    }

    /// The call loses its socket when it has not come back by then.
    func limit(seconds: Double) {
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds) { [self] in
            // Under the lock, so that a session that just came back is not closed under its next user.
            ended.withLock { if !$0 { handle.close() } }
        }
    }
}

/// A connection being opened on a thread of its own, which a cancelled caller leaves to it.
final class PGConnecting: Sendable {
    private enum State {
        case waiting(CheckedContinuation<PGHandle, any Error>)
        case new
        case over
    }
    private let state = Mutex(State.new)

    /// False when the caller was cancelled already.
    private func begin(_ continuation: CheckedContinuation<PGHandle, any Error>) -> Bool {
        state.withLock { state in
            guard case .new = state else { return false }
            state = .waiting(continuation)
            return true
        }
    }

    private func take() -> CheckedContinuation<PGHandle, any Error>? {
        state.withLock { state in
            defer { state = .over }
            if case .waiting(let continuation) = state { return continuation }
            return nil
        }
    }

    /// Opens on `queue`; what arrives after the caller gave up is closed by its deinit.
    func open(_ settings: PGSettings, on queue: DispatchQueue) async throws -> PGHandle {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard begin(continuation) else { return continuation.resume(throwing: CancellationError()) }
                queue.async {
                    let result = Result { try PGHandle.open(settings) }
                    self.take()?.resume(with: result)
                }
            }
        } onCancel: {
            take()?.resume(throwing: CancellationError())
        }
    }
}
