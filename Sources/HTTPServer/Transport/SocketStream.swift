import Glibc
import Runtime
import Synchronization

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
    /// The last read took all there was: what comes next is told.
    private let isDrained = Atomic(false)

    /// Takes the descriptor over; nil, and it is closed, when the kernel cannot watch one more.
    init?(descriptor: Int32, peer: String) {
        self.descriptor = descriptor
        self.peer = peer
        shard = Shards.shard(for: descriptor)
        readiness = Readiness(descriptor, on: shard)
        guard readiness.begin() else {
            readiness.close()
            return nil
        }
    }

    func read(within limit: Duration) async throws -> [UInt8] {
        if !isDrained.load(ordering: .relaxed) {
            // Who sends faster than it is answered lets the others of the shard have their turn.
            await Task.yield()
            if let bytes = try receive() { return bytes }
        }
        let end = Shard.end(of: limit)
        while true {
            try await wait(at: readiness.reading, until: end)
            if let bytes = try receive() { return bytes }
        }
    }

    /// Nil when nothing is there yet. The buffer lives here only, so that a waiting connection holds none.
    private func receive() throws -> [UInt8]? {
        let first = try withUnsafeTemporaryAllocation(byteCount: Self.readBytesFirst, alignment: 16) { buffer in
            try take(into: buffer).map { Array(UnsafeRawBufferPointer(rebasing: buffer[..<$0])) }
        }
        guard let first, first.count == Self.readBytesFirst else {
            // Fewer than were asked for are all there were (epoll(7)); the end of the stream is told for good.
            isDrained.store(true, ordering: .relaxed)
            return first
        }
        isDrained.store(false, ordering: .relaxed)
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

    func write(_ bytes: [UInt8], from sent: Int, within limit: Duration) async throws {
        var sent = sent + (try sendNow(bytes[sent...]))
        var end: UInt64?
        while sent < bytes.count {
            let until = end ?? Shard.end(of: limit)
            try await wait(at: readiness.writing, until: until)
            let more = try sendNow(bytes[sent...])
            sent += more
            end = more > 0 ? nil : until
        }
    }

    func writeNow(_ bytes: [UInt8]) throws -> Int { try sendNow(bytes[...]) }

    /// How many bytes the kernel takes without waiting.
    private func sendNow(_ bytes: ArraySlice<UInt8>) throws -> Int {
        try bytes.withUnsafeBytes { raw in
            var sent = 0
            while sent < raw.count {
                let count = send(descriptor, raw.baseAddress.map { $0 + sent }, raw.count - sent, Int32(MSG_NOSIGNAL))
                if count > 0 {
                    sent += count
                } else if errno == EAGAIN {
                    break
                } else if errno != EINTR {
                    throw Self.lost
                }
            }
            return sent
        }
    }

    private static let lost = TallyError(.cancelled, during: "http.socket", "the client is gone")

    private func wait(at place: WaitingPlace, until end: UInt64) async throws {
        guard end > Shard.now else { throw Self.late }
        switch await place.wait(on: shard, until: end) {
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
