/// The port between connection and transport; tests put a pipe in its place.
package protocol ByteStream: Sendable {
    /// The next bytes, at most 64 KiB; empty at the peer's end. Throws when nothing came within `limit`.
    func read(within limit: Duration) async throws -> [UInt8]
    /// Writes all, or throws when the peer does not take them within `limit`.
    func write(_ bytes: [UInt8], within limit: Duration) async throws
    var peer: String { get }
}
