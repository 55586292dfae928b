import Foundation
import Synchronization
import TestKit

/// A TCP server that answers with the bytes a test wrote, and tells when its peer has gone.
final class RawServer: Sendable {
    /// Gets the request's head; what it returns false for ends the connection.
    typealias Script = @Sendable (RawPeer) -> Void

    let port: Int
    private let listener: Int32
    private let peers = Mutex<[Int32]>([])

    init(_ script: @escaping Script) throws {
        let (descriptor, port) = try RawSockets.listen()
        listener = descriptor
        self.port = port
        let thread = Thread { [listener = descriptor] in
            while let peer = RawSockets.accept(listener) {
                let serve = Thread {
                    script(RawPeer(descriptor: peer))
                    close(peer)
                }
                serve.start()
            }
        }
        thread.start()
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    func url(_ path: String = "/") throws -> URL {
        guard let url = URL(string: "http://127.0.0.1:\(port)\(path)") else { throw TestServiceMissing("no URL") }
        return url
    }
}

struct RawPeer: Sendable {
    let descriptor: Int32

    /// Everything up to the empty line.
    func readHead() -> String {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while read(descriptor, &byte, 1) == 1 {
            bytes.append(byte)
            if bytes.suffix(4) == [13, 10, 13, 10] { break }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @discardableResult
    func write(_ text: String) -> Bool { write(Array(text.utf8)) }

    @discardableResult
    func write(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) } == bytes.count
    }

    /// Blocks until the peer closes its side, at most 10 s; false when it did not.
    func waitForClose() -> Bool {
        var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while poll(&watched, 1, 10_000) > 0 {
            var byte: UInt8 = 0
            if read(descriptor, &byte, 1) <= 0 { return true }
        }
        return false
    }

    /// Blocks for so long, or until the peer is gone.
    func pause(milliseconds: Int32) {
        var watched = pollfd(fd: descriptor, events: 0, revents: 0)
        _ = poll(&watched, 1, milliseconds)
    }
}

enum RawSockets {
    static func listen() throws -> (Int32, Int) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && Glibc.listen(descriptor, 16) == 0
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard bound else { throw TestServiceMissing("no listening socket: errno \(errno)") }
        return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
    }

    static func accept(_ listener: Int32) -> Int32? {
        let descriptor = Glibc.accept(listener, nil, nil)
        return descriptor >= 0 ? descriptor : nil
    }
}
