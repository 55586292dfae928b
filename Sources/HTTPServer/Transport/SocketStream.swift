import Glibc
import Runtime

/// A connected, non-blocking socket; waiting costs a dispatch source, never a thread, and no buffer.
///
/// One task may read while another writes. `close` is called once, by the owner, when neither does.
final class SocketStream: ByteStream {
    static let readBytesMax = 16_384
    /// What the stack lends for free; a whole request fits most of the time.
    private static let readBytesFirst = 1_024

    let shard: Shard
    let peer: String
    private let descriptor: Int32
    private let readiness: Readiness

    init(descriptor: Int32, peer: String) {
        self.descriptor = descriptor
        self.peer = peer
        shard = Shards.shard(for: descriptor)
        readiness = Readiness(descriptor, on: shard.queue)
    }

    func read(within limit: Duration) async throws -> [UInt8] {
        if let bytes = try receive() { return bytes }
        // Under load the next bytes are here once the others of this shard have had their turn.
        await Task.yield()
        let end = ContinuousClock.now + limit
        while true {
            if let bytes = try receive() { return bytes }
            try await wait(for: .reading, until: end)
        }
    }

    /// Nil when nothing is there yet. The buffer lives here only, so that a waiting connection holds none.
    private func receive() throws -> [UInt8]? {
        let first = try withUnsafeTemporaryAllocation(byteCount: Self.readBytesFirst, alignment: 16) { buffer in
            try take(into: buffer).map { Array(UnsafeRawBufferPointer(rebasing: buffer[..<$0])) }
        }
        guard let first, first.count == Self.readBytesFirst else { return first }
        var failure: (any Error)?
        let rest = [UInt8](unsafeUninitializedCapacity: Self.readBytesMax - Self.readBytesFirst) { buffer, count in
            do { count = try take(into: UnsafeMutableRawBufferPointer(buffer)) ?? 0 } catch { failure = error }
        }
        // A failure tells itself again at the next read; what came before it is not lost.
        return failure == nil ? first + rest : first
    }

    /// How many bytes came, 0 at the end of the stream, nil when there is nothing now.
    private func take(into buffer: UnsafeMutableRawBufferPointer) throws -> Int? {
        while true {
            let received = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if received >= 0 { return received }
            switch errno {
            case EAGAIN: return nil
            case EINTR: continue
            default: throw Self.lost
            }
        }
    }

    func write(_ bytes: [UInt8], within limit: Duration) async throws {
        var sent = 0
        var end: ContinuousClock.Instant?
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                send(descriptor, raw.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
                end = nil
                continue
            }
            if errno == EINTR { continue }
            guard errno == EAGAIN else { throw Self.lost }
            let until = end ?? ContinuousClock.now + limit
            end = until
            try await wait(for: .writing, until: until)
        }
    }

    private static let lost = TallyError(.cancelled, during: "http.socket", "the client is gone")

    private func wait(for direction: Readiness.Direction, until end: ContinuousClock.Instant) async throws {
        let limit = ContinuousClock.now.duration(to: end)
        guard limit > .zero else { throw Self.late }
        let wait = Wait()
        switch await wait.outcome(on: shard, within: limit, arm: { readiness.arm(direction, wait) }) {
        case .ready: return
        case .timedOut: throw Self.late
        case .cancelled: throw CancellationError()
        }
    }

    private static let late = TallyError(.deadlineExceeded, during: "http.socket", "the client is too slow")

    func finishWriting() { readiness.shut(Int32(SHUT_WR)) }

    func hangUp() { readiness.shut(Int32(SHUT_RD)) }

    func abort() { readiness.shut(Int32(SHUT_RDWR)) }

    func close() { readiness.close() }
}
