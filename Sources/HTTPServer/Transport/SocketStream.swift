import Dispatch
import Glibc
import Runtime
import Synchronization

/// A connected, non-blocking socket; waiting costs a dispatch source, never a thread.
final class SocketStream: ByteStream {
    private let descriptor: Int32
    private let queue: DispatchQueue
    private let closed = Mutex(false)
    let peer: String

    init(descriptor: Int32, peer: String) {
        self.descriptor = descriptor
        self.peer = peer
        queue = DispatchQueue(label: "tallyman.http.connection")
    }

    func read(within limit: Duration) async throws -> [UInt8] {
        let end = ContinuousClock.now + limit
        while true {
            var buffer = [UInt8](repeating: 0, count: 16_384)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count >= 0 { return Array(buffer[..<count]) }
            guard errno == EAGAIN || errno == EINTR else { throw Self.lost() }
            try await wait(until: end, forWriting: false)
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
            guard errno == EAGAIN || errno == EINTR else { throw Self.lost() }
            try await wait(until: end, forWriting: true)
        }
    }

    private static func lost() -> TallyError {
        TallyError(.cancelled, during: "http.socket", "the client is gone")
    }

    private func wait(until end: ContinuousClock.Instant, forWriting: Bool) async throws {
        try await withDeadline(ContinuousClock.now.duration(to: end), during: "http.socket") { [self] in
            await ready(forWriting: forWriting)
            try Task.checkCancellation()
        }
    }

    /// Returns when the socket can be used, or at once when the task is cancelled.
    private func ready(forWriting: Bool) async {
        let source: any DispatchSourceProtocol =
            forWriting
            ? DispatchSource.makeWriteSource(fileDescriptor: descriptor, queue: queue)
            : DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
        let box = SourceBox(source)
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                source.setEventHandler { box.source.cancel() }
                source.setCancelHandler { continuation.resume() }
                source.activate()
            }
        } onCancel: {
            box.source.cancel()
        }
    }

    /// Wakes whoever waits on the socket; it is closed by its owner.
    func hangUp() {
        closed.withLock { closed in
            if !closed { _ = shutdown(descriptor, Int32(SHUT_RD)) }
        }
    }

    func close() {
        closed.withLock { closed in
            guard !closed else { return }
            closed = true
            Glibc.close(descriptor)
        }
    }
}

// A dispatch source may be cancelled from any thread, by its documentation.
struct SourceBox: @unchecked Sendable {
    let source: any DispatchSourceProtocol
    init(_ source: any DispatchSourceProtocol) { self.source = source }
}
