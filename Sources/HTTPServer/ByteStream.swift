/// The port between connection and transport; tests may put a pipe in its place.
package protocol ByteStream: Sendable {
    /// The next bytes, at most 64 KiB; empty at the peer's end or after `hangUp`.
    ///
    /// Throws `.deadlineExceeded` when nothing came within `limit`, `.cancelled` when the peer is gone.
    func read(within limit: Duration) async throws -> [UInt8]
    /// Writes all behind the first `sent` bytes. Throws `.deadlineExceeded` when the peer takes nothing for `limit`,
    /// `.cancelled` when it is gone.
    func write(_ bytes: [UInt8], from sent: Int, within limit: Duration) async throws
    /// Writes without waiting; returns how many bytes were taken, which may be none. Throws `.cancelled` like `write`.
    func writeNow(_ bytes: [UInt8]) throws -> Int
    /// Tells the peer that nothing more is written; reading goes on.
    func finishWriting()
    /// Ends reading, also one that waits. May be called from anywhere.
    func hangUp()
    /// Ends reading and writing, also what waits. May be called from anywhere.
    func abort()
    /// The peer's address without its port.
    var peer: String { get }
}

extension ByteStream {
    /// Writes all, as `write(_:from:within:)` does.
    package func write(_ bytes: [UInt8], within limit: Duration) async throws {
        try await write(bytes, from: 0, within: limit)
    }
}
