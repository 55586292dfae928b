/// Compresses a stream of bytes piece by piece. Not to be used from two tasks.
package protocol StreamPacker: AnyObject {
    /// Takes more bytes; what is compressed by now, which may be nothing.
    func write(_ bytes: [UInt8]) throws -> [UInt8]
    /// Ends the stream; the rest of it.
    func finish() throws -> [UInt8]
}

/// Expands a stream piece by piece, also one of several members. Not to be used from two tasks.
package protocol StreamUnpacker: AnyObject {
    /// Lends the bytes that `compressed` expands to, in pieces of at most 256 KiB, so that a small input cannot fill
    /// the memory. Throws `.recordMalformed` for what is not of the format, or is damaged.
    func read(_ compressed: [UInt8], _ body: ([UInt8]) async throws -> Void) async throws
    /// Throws `.recordMalformed` when the stream stops inside a member.
    func finish() throws
}
