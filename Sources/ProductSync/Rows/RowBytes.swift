import Glibc

// The one file of the sync with pointers in it: whole stretches of bytes are copied and compared by memcpy and memcmp.
// Every range is checked against its span first, so no length that came over the wire is trusted here.

/// Network byte order in and out of byte buffers: the little that row images need.
extension [UInt8] {
    @inline(__always)
    mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        let big = value.bigEndian
        unsafe Swift.withUnsafeBytes(of: big) { unsafe append(contentsOf: $0) }
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
        unsafe bytes.extracting(range).withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }

    init(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        self = []
        append(bytes, range)
    }

    @inline(__always)
    mutating func append(_ room: borrowing RowRoom) {
        unsafe append(contentsOf: UnsafeRawBufferPointer(start: room.bytes, count: room.count))
    }
}

/// A few KiB in which fields are put together, so that the array they go to is looked at once and not for each.
///
/// Whoever writes asks `left` first; each write checks it once more.
@safe struct RowRoom: ~Copyable {
    fileprivate let bytes = UnsafeMutableRawPointer.allocate(byteCount: RowRoom.size, alignment: 8)
    private(set) var count = 0

    static let size = 4_096

    deinit { unsafe bytes.deallocate() }

    var left: Int { Self.size - count }

    mutating func clear() { count = 0 }

    @inline(__always)
    mutating func put<Word: FixedWidthInteger & BitwiseCopyable>(_ value: Word) {
        precondition(left >= MemoryLayout<Word>.size)
        unsafe bytes.storeBytes(of: value.bigEndian, toByteOffset: count, as: Word.self)
        count += MemoryLayout<Word>.size
    }

    /// The first `bytes` of a number's eight.
    @inline(__always)
    mutating func put(_ value: UInt64, bytes: Int) {
        put(value)
        count -= 8 - bytes
    }

    @inline(__always)
    mutating func put(_ source: Span<UInt8>, _ range: Range<Int>) {
        precondition(left >= range.count)
        unsafe source.extracting(range).withUnsafeBytes { source in
            guard let from = source.baseAddress else { return }
            unsafe memcpy(bytes + count, from, source.count)
        }
        count += range.count
    }
}

extension Span<UInt8> {
    /// Less than, equal to or greater than zero, as the first byte that differs; both ranges are equally long.
    @inline(__always)
    func compare(_ range: Range<Int>, _ other: Span<UInt8>, _ otherRange: Range<Int>) -> Int {
        unsafe extracting(range).withUnsafeBufferPointer { left in
            unsafe other.extracting(otherRange).withUnsafeBufferPointer { right in
                guard let one = left.baseAddress, let two = right.baseAddress else { return 0 }
                return unsafe Int(memcmp(one, two, Swift.min(left.count, right.count)))
            }
        }
    }

    @inline(__always)
    private func word<Word: FixedWidthInteger & BitwiseCopyable>(at index: Int, as type: Word.Type) -> Word {
        precondition(index >= 0 && index <= count - MemoryLayout<Word>.size)
        return unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index, as: type)
    }

    @inline(__always)
    func bigEndianInt32(at index: Int) -> Int32 { Int32(bigEndian: word(at: index, as: Int32.self)) }

    @inline(__always)
    func bigEndianUInt64(at index: Int) -> UInt64 { UInt64(bigEndian: word(at: index, as: UInt64.self)) }

    /// BSON is little-endian.
    @inline(__always)
    func int32(at index: Int) -> Int32 { Int32(littleEndian: word(at: index, as: Int32.self)) }

    @inline(__always)
    func int64(at index: Int) -> Int64 { Int64(littleEndian: word(at: index, as: Int64.self)) }

    @inline(__always)
    func double(at index: Int) -> Double {
        Double(bitPattern: UInt64(bitPattern: int64(at: index)))
    }

    /// How many bytes from `range`'s start are ASCII and no NUL, eight at a time; the rest is for a closer look.
    @inline(__always)
    func plainPrefix(_ range: Range<Int>) -> Int {
        var at = range.lowerBound
        while at + 8 <= range.upperBound {
            guard Self.isPlain(word(at: at, as: UInt64.self)) else { return at - range.lowerBound }
            at += 8
        }
        // The last few bytes once more with those before them, where there are so many.
        if at < range.upperBound, range.count >= 8, Self.isPlain(word(at: range.upperBound - 8, as: UInt64.self)) {
            return range.count
        }
        return at - range.lowerBound
    }

    @inline(__always)
    private static func isPlain(_ eight: UInt64) -> Bool {
        let hasZero = (eight &- 0x0101_0101_0101_0101) & ~eight
        return (hasZero | eight) & 0x8080_8080_8080_8080 == 0
    }
}
