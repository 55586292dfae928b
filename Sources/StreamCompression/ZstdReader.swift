import CLibZstd
import Runtime

/// Expands a zstd stream, also one of several frames, piece by piece. Not to be used from two tasks.
///
/// Frames that ask for a window above libzstd's ceiling of 128 MiB are refused.
package final class ZstdReader: StreamUnpacker {
    private static let room = 1 << 18
    private let context: OpaquePointer
    /// Between frames, so that the input may end here.
    private var isAtBoundary = true

    /// Throws `.limitExceeded` when libzstd has no memory.
    package init() throws {
        guard let context = ZSTD_createDCtx() else {
            throw TallyError(.limitExceeded, during: "zstd.read", "libzstd has no memory for a stream")
        }
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    package func read(_ compressed: [UInt8], _ body: ([UInt8]) async throws -> Void) async throws {
        guard !compressed.isEmpty else { return }
        var offset = 0
        while true {
            var left = 0
            let piece = step(compressed, &offset, &left)
            guard ZSTD_isError(left) == 0 else {
                throw TallyError(.recordMalformed, during: "zstd.read", "the file is no zstd, or it is damaged")
            }
            isAtBoundary = left == 0
            if !piece.isEmpty { try await body(piece) }
            // A full piece may have more behind it, unless the frame is over: to ask then would open another.
            if offset == compressed.count, piece.count < Self.room || isAtBoundary { return }
        }
    }

    private func step(_ compressed: [UInt8], _ offset: inout Int, _ left: inout Int) -> [UInt8] {
        let start = offset
        var (taken, status) = (0, 0)
        let piece = [UInt8](unsafeUninitializedCapacity: Self.room) { buffer, count in
            compressed.withUnsafeBytes { raw in
                var input = ZSTD_inBuffer(src: raw.baseAddress, size: raw.count, pos: start)
                var out = ZSTD_outBuffer(dst: buffer.baseAddress, size: Self.room, pos: 0)
                status = ZSTD_decompressStream(context, &out, &input)
                taken = input.pos
                count = out.pos
            }
        }
        (offset, left) = (taken, status)
        return piece
    }

    package func finish() throws {
        guard isAtBoundary else {
            throw TallyError(.recordMalformed, during: "zstd.read", "the compressed file ends too early")
        }
    }
}
