import CLibZstd
import Runtime

/// Compresses a stream of bytes into one zstd frame (RFC 8878) with its checksum. Not to be used from two tasks.
package final class ZstdWriter: StreamPacker {
    private static let room = 1 << 17
    private let context: OpaquePointer

    /// Throws `.limitExceeded` when libzstd has no memory.
    package init() throws {
        guard let context = ZSTD_createCCtx() else {
            throw TallyError(.limitExceeded, during: "zstd.write", "libzstd has no memory for a stream")
        }
        self.context = context
        try Self.check(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1))
    }

    deinit { ZSTD_freeCCtx(context) }

    package func write(_ bytes: [UInt8]) throws -> [UInt8] { try run(bytes, ZSTD_e_continue) }

    package func finish() throws -> [UInt8] { try run([], ZSTD_e_end) }

    private func run(_ bytes: [UInt8], _ mode: ZSTD_EndDirective) throws -> [UInt8] {
        var output: [UInt8] = []
        var offset = 0
        while true {
            var left = 0
            let piece = [UInt8](unsafeUninitializedCapacity: Self.room) { buffer, count in
                bytes.withUnsafeBytes { raw in
                    var input = ZSTD_inBuffer(src: raw.baseAddress, size: raw.count, pos: offset)
                    var out = ZSTD_outBuffer(dst: buffer.baseAddress, size: Self.room, pos: 0)
                    left = ZSTD_compressStream2(context, &out, &input, mode)
                    offset = input.pos
                    count = out.pos
                }
            }
            try Self.check(left)
            output += piece
            let isDone = mode == ZSTD_e_end ? left == 0 : offset == bytes.count
            if isDone { return output }
        }
    }

    private static func check(_ status: Int) throws {
        guard ZSTD_isError(status) == 0 else {
            throw TallyError(
                .unknown,
                during: "zstd.write",
                "libzstd failed: \(String(cString: ZSTD_getErrorName(status)))"
            )
        }
    }
}
