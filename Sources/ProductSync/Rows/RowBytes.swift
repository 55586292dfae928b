/// Network byte order in and out of byte buffers: the little that row images need.
extension [UInt8] {
    @inline(__always)
    mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        var shift = value.bitWidth
        while shift > 0 {
            shift -= 8
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// Writes the length of what follows the four bytes at `start` into them.
    @inline(__always)
    mutating func patchLength(at start: Int) {
        patch(Int32(count - start - 4), at: start)
    }

    @inline(__always)
    mutating func patch(_ value: Int32, at start: Int) {
        self[start] = UInt8(truncatingIfNeeded: value >> 24)
        self[start + 1] = UInt8(truncatingIfNeeded: value >> 16)
        self[start + 2] = UInt8(truncatingIfNeeded: value >> 8)
        self[start + 3] = UInt8(truncatingIfNeeded: value)
    }

    @inline(__always)
    mutating func append(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        for index in range { append(bytes[index]) }
    }

    init(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        self = []
        append(bytes, range)
    }
}

extension Span<UInt8> {
    @inline(__always)
    func bigEndianInt32(at index: Int) -> Int32 {
        Int32(self[index]) << 24 | Int32(self[index + 1]) << 16 | Int32(self[index + 2]) << 8 | Int32(self[index + 3])
    }

    /// BSON is little-endian.
    @inline(__always)
    func int32(at index: Int) -> Int32 {
        Int32(self[index + 3]) << 24 | Int32(self[index + 2]) << 16 | Int32(self[index + 1]) << 8 | Int32(self[index])
    }

    @inline(__always)
    func int64(at index: Int) -> Int64 {
        var value: UInt64 = 0
        for offset in 0..<8 { value |= UInt64(self[index + offset]) << UInt64(offset * 8) }
        return Int64(bitPattern: value)
    }

    @inline(__always)
    func double(at index: Int) -> Double {
        Double(bitPattern: UInt64(bitPattern: int64(at: index)))
    }
}
