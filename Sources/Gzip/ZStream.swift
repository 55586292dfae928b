import CLibZ

/// A zlib stream at an address that does not move, freed with its owner.
final class ZStream {
    enum Direction { case deflate, inflate }

    private let stream: UnsafeMutablePointer<z_stream>
    private let direction: Direction

    /// nil when zlib has no memory for it.
    init?(_ direction: Direction, level: Int32 = 6) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        self.direction = direction
        let status = direction == .deflate ? tally_deflate_init(stream, level) : tally_inflate_init(stream)
        guard status == Z_OK else { return nil }
    }

    deinit {
        if direction == .deflate { deflateEnd(stream) } else { inflateEnd(stream) }
        stream.deallocate()
    }

    struct Step {
        /// zlib's own status.
        var status: Int32
        var taken: Int
        var made: Int
    }

    /// One call of zlib over `input` from `start` on; what it makes is appended to `output`, at most `room` bytes.
    func step(_ input: [UInt8], from start: Int, finish: Bool, room: Int, into output: inout [UInt8]) -> Step {
        var step = Step(status: Z_OK, taken: 0, made: 0)
        let made = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            input.withUnsafeBufferPointer { bytes in
                stream.pointee.next_in = bytes.baseAddress.map { UnsafeMutablePointer(mutating: $0 + start) }
                stream.pointee.avail_in = UInt32(bytes.count - start)
                stream.pointee.next_out = buffer.baseAddress
                stream.pointee.avail_out = UInt32(room)
                let flush = finish ? Z_FINISH : Z_NO_FLUSH
                step.status = direction == .deflate ? deflate(stream, flush) : inflate(stream, Z_NO_FLUSH)
                step.taken = bytes.count - start - Int(stream.pointee.avail_in)
                count = room - Int(stream.pointee.avail_out)
                step.made = count
                stream.pointee.next_in = nil
                stream.pointee.next_out = nil
            }
        }
        output.append(contentsOf: made)
        return step
    }
}
