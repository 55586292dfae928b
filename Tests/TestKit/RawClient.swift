import Foundation

/// A TCP client that says exactly the bytes it is told, and keeps what it hears.
///
/// A thread of its own reads, so that no test blocks one of the cooperative pool.
package final class RawClient: Sendable {
    package struct Heard: Sendable {
        package internal(set) var bytes: [UInt8] = []
        /// The other side has ended, or reset, the connection.
        package internal(set) var isEnded = false

        package var text: String { String(decoding: bytes, as: UTF8.self) }
    }

    package let heard = Watched(Heard())
    private let descriptor: Int32
    private let isOpen = Watched(true)
    private let reads: Bool

    /// Connects to 127.0.0.1, or ::1.
    ///
    /// - Parameter reads: false for one that takes nothing, with a small buffer in the kernel.
    package convenience init(port: Int, isVersion6: Bool = false, reads: Bool = true) throws {
        let connected = isVersion6 ? Self.connectVersion6(port) : Sockets.connect(port: port)
        try self.init(connected, port, reads)
    }

    /// Connects a socket of `unconnected` to 127.0.0.1, which takes no further descriptor.
    package convenience init(port: Int, descriptor: Int32, reads: Bool = true) throws {
        try self.init(Sockets.connect(descriptor, port: port), port, reads)
    }

    /// A socket to connect later.
    package static func unconnected() -> Int32 { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }

    private init(_ connected: Int32?, _ port: Int, _ reads: Bool) throws {
        guard let connected else { throw TestServiceMissing("nothing listens on port \(port)") }
        descriptor = connected
        self.reads = reads
        guard reads else {
            Sockets.setOption(descriptor, SOL_SOCKET, SO_RCVBUF, 4_096)
            return
        }
        Thread.detachNewThread { [descriptor, heard] in
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                heard.change { $0.bytes += buffer[..<count] }
            }
            heard.change { $0.isEnded = true }
        }
    }

    deinit {
        close()
    }

    private static func connectVersion6(_ port: Int) -> Int32? {
        let descriptor = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = UInt16(truncatingIfNeeded: port).bigEndian
        address.sin6_addr = in6addr_loopback
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
        guard status == 0 else {
            Glibc.close(descriptor)
            return nil
        }
        return descriptor
    }

    /// False when the other side is gone.
    @discardableResult
    package func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    @discardableResult
    package func send(_ bytes: [UInt8]) -> Bool { Sockets.writeAll(descriptor, bytes) }

    /// Sends more than the kernel may take at once, in a thread of its own, and then ends our side.
    ///
    /// Tells, once it has ended, whether the other side let all of it come.
    package func sendBesideAndFinish(_ bytes: [UInt8]) -> Watched<Bool?> {
        let isTaken = Watched<Bool?>(nil)
        Thread.detachNewThread { [self] in
            let all = send(bytes)
            finishWriting()
            isTaken.change { $0 = all }
        }
        return isTaken
    }

    /// Ends our side; the other may go on.
    package func finishWriting() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// Waits until what was heard holds `text` at least `times` times.
    package func wait(for text: String, times: Int = 1) async throws {
        try await heard.wait { $0.isEnded || $0.text.ranges(of: text).count >= times }
        guard heard.value.text.ranges(of: text).count >= times else {
            throw TestServiceMissing("it ended without \(text): \(heard.value.text)")
        }
    }

    /// Waits for the other side's end; returns all that was heard.
    package func waitForEnd() async throws -> String {
        try await heard.wait { $0.isEnded }
        return heard.value.text
    }

    /// Closes; what was not read yet makes the kernel send a reset.
    package func close() {
        isOpen.change { isOpen in
            if isOpen {
                // The reading thread is woken by the shutdown, and must be gone before the descriptor is: its number
                // is given to the next connection, whose bytes it would take.
                shutdown(descriptor, Int32(SHUT_RDWR))
                if reads { _ = heard.waitBlocking { $0.isEnded } }
                Glibc.close(descriptor)
            }
            isOpen = false
        }
    }

    /// Leaves with a reset, as a crashed client does.
    package func reset() {
        if reads {
            // A close under a thread that reads would wait for it, and nothing be sent.
            shutdown(descriptor, Int32(SHUT_RD))
            _ = heard.waitBlocking { $0.isEnded }
        }
        Sockets.resetOnClose(descriptor)
        isOpen.change { isOpen in
            if isOpen { Glibc.close(descriptor) }
            isOpen = false
        }
    }
}
