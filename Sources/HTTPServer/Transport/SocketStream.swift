import Dispatch
import Glibc
import Runtime
import Synchronization

/// A connected, non-blocking socket; waiting costs dispatch sources, never a thread, and no buffer.
///
/// One task may read while another writes. `close` is called once, by the owner, when neither does.
final class SocketStream: ByteStream {
    static let readBytesMax = 16_384

    private let descriptor: Int32
    private let queue: DispatchQueue
    private let isClosed = Mutex(false)
    let peer: String

    init(descriptor: Int32, peer: String) {
        self.descriptor = descriptor
        self.peer = peer
        queue = TransportQueues.queue(for: descriptor)
    }

    func read(within limit: Duration) async throws -> [UInt8] {
        let end = ContinuousClock.now + limit
        while true {
            if let bytes = try receive() { return bytes }
            try await wait(for: .reading, until: end)
        }
    }

    /// Nil when nothing is there yet. The buffer lives here only, so that a waiting connection holds none.
    private func receive() throws -> [UInt8]? {
        while true {
            var failure: Int32 = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: Self.readBytesMax) { buffer, count in
                let received = recv(descriptor, buffer.baseAddress, buffer.count, 0)
                failure = received < 0 ? errno : 0
                count = max(0, received)
            }
            switch failure {
            case 0: return bytes.count * 4 < Self.readBytesMax ? Array(bytes[...]) : bytes
            case EAGAIN: return nil
            case EINTR: continue
            default: throw Self.lost
            }
        }
    }

    func write(_ bytes: [UInt8], within limit: Duration) async throws {
        var sent = 0
        var end = ContinuousClock.now + limit
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                send(descriptor, raw.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
                end = ContinuousClock.now + limit
                continue
            }
            if errno == EINTR { continue }
            guard errno == EAGAIN else { throw Self.lost }
            try await wait(for: .writing, until: end)
        }
    }

    private static let lost = TallyError(.cancelled, during: "http.socket", "the client is gone")

    private func wait(for direction: Readiness.Direction, until end: ContinuousClock.Instant) async throws {
        let limit = ContinuousClock.now.duration(to: end)
        guard limit > .zero else { throw Self.late }
        switch await Readiness.wait(for: direction, descriptor, within: limit, on: queue) {
        case .ready: return
        case .timedOut: throw Self.late
        case .cancelled: throw CancellationError()
        }
    }

    private static let late = TallyError(.deadlineExceeded, during: "http.socket", "the client is too slow")

    func finishWriting() {
        shut(Int32(SHUT_WR))
    }

    func hangUp() {
        shut(Int32(SHUT_RD))
    }

    func abort() {
        shut(Int32(SHUT_RDWR))
    }

    /// Under the lock, so that it never meets a descriptor which is somebody else's by now.
    private func shut(_ how: Int32) {
        isClosed.withLock { isClosed in
            if !isClosed { _ = shutdown(descriptor, how) }
        }
    }

    func close() {
        isClosed.withLock { isClosed in
            guard !isClosed else { return }
            isClosed = true
            Glibc.close(descriptor)
        }
    }
}
