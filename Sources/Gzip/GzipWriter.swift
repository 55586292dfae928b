import CLibZ
import Runtime

/// Compresses a stream of bytes into one gzip member (RFC 1952) through zlib. Not to be used from two tasks.
package final class GzipWriter {
    private let stream: ZStream

    /// Throws `.limitExceeded` when zlib has no memory.
    package init() throws {
        guard let stream = ZStream(.deflate) else {
            throw TallyError(.limitExceeded, during: "gzip.write", "zlib has no memory for a stream")
        }
        self.stream = stream
    }

    /// Takes more bytes; what is compressed by now, which may be nothing.
    package func write(_ bytes: [UInt8]) throws -> [UInt8] { try run(bytes, finish: false) }

    /// Ends the member; the rest of it.
    package func finish() throws -> [UInt8] { try run([], finish: true) }

    private func run(_ bytes: [UInt8], finish: Bool) throws -> [UInt8] {
        var output: [UInt8] = []
        var offset = 0
        while true {
            let step = stream.step(bytes, from: offset, finish: finish, room: 65_536, into: &output)
            offset += step.taken
            if step.status == Z_STREAM_END { return output }
            guard step.status == Z_OK || step.status == Z_BUF_ERROR else {
                throw TallyError(.unknown, during: "gzip.write", "zlib failed with status \(step.status)")
            }
            if !finish, offset == bytes.count, step.made < 65_536 { return output }
        }
    }
}
