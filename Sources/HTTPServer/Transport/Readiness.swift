import Glibc
import Synchronization

/// Tells when a descriptor can be read, or written. Owns the descriptor and closes it.
final class Readiness: Sendable {
    private struct State {
        var isClosed = false
        var token: UInt64?
    }

    let reading = WaitingPlace()
    let writing = WaitingPlace()
    private let descriptor: Int32
    private let shard: Shard
    private let state = Mutex(State())

    init(_ descriptor: Int32, on shard: Shard) {
        self.descriptor = descriptor
        self.shard = shard
    }

    /// Has the shard tell from now on; before that every wait ends at once. False when the kernel refuses.
    func begin() -> Bool {
        state.withLock { state in
            state.token = shard.watch(descriptor, self)
            return state.token != nil
        }
    }

    func tell(_ event: Poll.Event) {
        if event.isReadable { reading.makeReady(forGood: event.isEnded) }
        if event.isWritable { writing.makeReady() }
    }

    /// Ends the waits whose limit has come; returns when the next is over.
    func expire(_ now: UInt64) -> UInt64 { min(reading.expire(now), writing.expire(now)) }

    /// Under the lock, so that it never meets a descriptor which is somebody else's by now.
    func shut(_ how: Int32) {
        state.withLock { state in
            if !state.isClosed { _ = shutdown(descriptor, how) }
        }
        if how != Int32(SHUT_WR) { reading.makeReady(forGood: true) }
        if how == Int32(SHUT_RDWR) { writing.makeReady(forGood: true) }
    }

    /// Closes the descriptor; who still waits is told that it is ready, and finds it ended.
    func close() {
        state.withLock { state in
            guard !state.isClosed else { return }
            state.isClosed = true
            if let token = state.token { shard.forget(descriptor, token) }
            _ = Glibc.close(descriptor)
        }
        reading.makeReady(forGood: true)
        writing.makeReady(forGood: true)
    }
}
