import CLibZ
import Runtime

/// Expands a gzip stream, also one of several members, piece by piece. Not to be used from two tasks.
package final class GzipReader {
    private var stream: ZStream
    /// Between members, so that the input may end here.
    private var isAtBoundary = true

    /// Throws `.limitExceeded` when zlib has no memory.
    package init() throws { stream = try Self.open() }

    private static func open() throws -> ZStream {
        guard let stream = ZStream(.inflate) else {
            throw TallyError(.limitExceeded, during: "gzip.read", "zlib has no memory for a stream")
        }
        return stream
    }

    /// Lends the bytes that `compressed` expands to, in pieces of at most 256 KiB, so that a small input cannot fill
    /// the memory. Throws `.recordMalformed` for what is no gzip, or is damaged.
    package func read(_ compressed: [UInt8], _ body: ([UInt8]) async throws -> Void) async throws {
        var offset = 0
        while true {
            if isAtBoundary {
                guard offset < compressed.count else { return }
                stream = try Self.open()
                isAtBoundary = false
            }
            var piece: [UInt8] = []
            let step = stream.step(compressed, from: offset, finish: false, room: 1 << 18, into: &piece)
            offset += step.taken
            if !piece.isEmpty { try await body(piece) }
            switch step.status {
            case Z_STREAM_END: isAtBoundary = true
            case Z_OK: if offset == compressed.count, step.made < 1 << 18 { return }
            case Z_BUF_ERROR: return
            default: throw TallyError(.recordMalformed, during: "gzip.read", "the file is no gzip, or it is damaged")
            }
        }
    }

    /// Throws `.recordMalformed` when the stream stops inside a member.
    package func finish() throws {
        guard isAtBoundary else {
            throw TallyError(.recordMalformed, during: "gzip.read", "the compressed file ends too early")
        }
    }
}
