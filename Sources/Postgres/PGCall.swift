import Dispatch
import Synchronization

/// One blocking libpq call that may have to be given up: first by asking the server, then by closing the socket.
///
/// `PQcancel` needs a connection of its own and a server that listens; a call that has not come back a second later
/// loses its socket, which ends it whatever the other side does.
final class PGCall: Sendable {
    private struct State {
        var ended = false
        /// When a request to cancel must have been taken.
        var deadline = DispatchTime.distantFuture
    }

    private let handle: PGHandle
    private let state = Mutex(State())
    private let requests = DispatchGroup()

    init(_ handle: PGHandle) { self.handle = handle }

    /// The call came back; the socket is left alone from now on.
    ///
    /// A cancel request that is still on its way would stop the session's next statement instead: it is waited for, and
    /// a session whose server did not take it within a second loses its socket.
    func end() {
        state.withLock { $0.ended = true }
        if !isCancelTaken() { handle.close() }
    }

    /// Asks the server to stop the call, unless that has ended.
    func cancel() {
        let isUnderWay = state.withLock { state in
            guard !state.ended else { return false }
            state.deadline = min(state.deadline, .now() + 1)
            requests.enter()
            return true
        }
        guard isUnderWay else { return }
        DispatchQueue.global().async { [handle, requests] in
            handle.cancel()
            requests.leave()
        }
        limit(seconds: 1)
    }

    /// Waits until the server took the request to cancel, if there was one; false when a second was not enough.
    func isCancelTaken() -> Bool { requests.wait(timeout: state.withLock(\.deadline)) == .success }

    /// The call loses its socket when it has not come back by then.
    func limit(seconds: Double) {
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds) { [self] in
            // Under the lock, so that a session that just came back is not closed under its next user.
            state.withLock { if !$0.ended { handle.close() } }
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
