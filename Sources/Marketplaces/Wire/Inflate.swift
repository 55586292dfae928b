import Runtime

/// Takes a gzip stream apart (RFC 1951 and 1952), piece by piece and with a bounded window: Amazon's reports come so,
/// as plain files without `Content-Encoding`.
struct Inflate {
    private let next: () throws -> [UInt8]
    private var input: [UInt8] = []
    private var at = 0
    private var bits: UInt32 = 0
    private var bitCount: UInt32 = 0
    private var window: [UInt8] = []
    private var emitted = 0
    private var checksum: UInt32 = 0xFFFF_FFFF
    private var total: UInt32 = 0

    /// `next` gives the following bytes, empty at the end.
    init(next: @escaping () throws -> [UInt8]) {
        self.next = next
    }

    /// Hands out the content in pieces of at most some 100 KB.
    ///
    /// Throws `.sourceUnreachable`, which is retried, for a stream that is cut, damaged or no gzip at all.
    mutating func run(_ emit: ([UInt8]) throws -> Void) throws {
        try header()
        var isLast = false
        while !isLast {
            isLast = try take(bits: 1) == 1
            switch try take(bits: 2) {
            case 0: try stored(emit)
            case 1: try blocks(Huffman.fixedLengths, Huffman.fixedDistances, emit)
            case 2:
                let (lengths, distances) = try tables()
                try blocks(lengths, distances, emit)
            default: throw Self.damaged
            }
        }
        try flush(emit, keeping: 0)
        bitCount = 0
        let stated = try (0..<4).reduce(UInt32(0)) { sum, place in sum | UInt32(try byte()) << (8 * UInt32(place)) }
        let length = try (0..<4).reduce(UInt32(0)) { sum, place in sum | UInt32(try byte()) << (8 * UInt32(place)) }
        guard stated == checksum ^ 0xFFFF_FFFF, length == total else { throw Self.damaged }
    }

    private static var damaged: TallyError {
        TallyError(.sourceUnreachable, during: "wire.inflate", "a compressed document is cut or damaged")
    }

    // MARK: Input

    private mutating func byte() throws -> UInt8 {
        if at == input.count {
            input = try next()
            at = 0
            guard !input.isEmpty else { throw Self.damaged }
        }
        defer { at += 1 }
        return input[at]
    }

    private mutating func take(bits count: UInt32) throws -> Int {
        while bitCount < count {
            bits |= UInt32(try byte()) << bitCount
            bitCount += 8
        }
        let value = bits & ((1 << count) - 1)
        bits >>= count
        bitCount -= count
        return Int(value)
    }

    private mutating func header() throws {
        guard try byte() == 0x1F, try byte() == 0x8B, try byte() == 8 else { throw Self.damaged }
        let flags = try byte()
        for _ in 0..<6 { _ = try byte() }
        if flags & 4 != 0 {
            let length = Int(try byte()) | Int(try byte()) << 8
            for _ in 0..<length { _ = try byte() }
        }
        for flag in [UInt8(8), 16] where flags & flag != 0 {
            while try byte() != 0 {}
        }
        if flags & 2 != 0 { for _ in 0..<2 { _ = try byte() } }
    }

    // MARK: Output

    private mutating func put(_ byte: UInt8, _ emit: ([UInt8]) throws -> Void) throws {
        window.append(byte)
        if window.count >= 131_072 { try flush(emit, keeping: 32_768) }
    }

    private mutating func flush(_ emit: ([UInt8]) throws -> Void, keeping: Int) throws {
        let fresh = Array(window[emitted...])
        for byte in fresh {
            checksum = Self.crc[Int((checksum ^ UInt32(byte)) & 0xFF)] ^ (checksum >> 8)
        }
        total = total &+ UInt32(truncatingIfNeeded: fresh.count)
        if !fresh.isEmpty { try emit(fresh) }
        if window.count > keeping { window.removeFirst(window.count - keeping) }
        emitted = window.count
    }

    private static let crc: [UInt32] = (0..<256).map { number in
        (0..<8).reduce(UInt32(number)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
    }

    // MARK: Blocks

    private mutating func stored(_ emit: ([UInt8]) throws -> Void) throws {
        bits = 0
        bitCount = 0
        let length = Int(try byte()) | Int(try byte()) << 8
        let check = Int(try byte()) | Int(try byte()) << 8
        guard length ^ 0xFFFF == check else { throw Self.damaged }
        for _ in 0..<length { try put(try byte(), emit) }
    }

    private mutating func symbol(_ code: Huffman) throws -> Int {
        var value = 0
        var first = 0
        var index = 0
        for length in 1...15 {
            value |= try take(bits: 1)
            let count = code.counts[length]
            if value - count < first { return code.symbols[index + value - first] }
            index += count
            first = (first + count) << 1
            value <<= 1
        }
        throw Self.damaged
    }

    private mutating func tables() throws -> (Huffman, Huffman) {
        let (literals, distances) = (try take(bits: 5) + 257, try take(bits: 5) + 1)
        var lengths = [Int](repeating: 0, count: 19)
        let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
        for place in 0..<(try take(bits: 4) + 4) { lengths[order[place]] = try take(bits: 3) }
        let code = Huffman(lengths)
        var all: [Int] = []
        while all.count < literals + distances {
            let length = try symbol(code)
            switch length {
            case 0..<16: all.append(length)
            case 16:
                guard let last = all.last else { throw Self.damaged }
                all += [Int](repeating: last, count: try take(bits: 2) + 3)
            case 17: all += [Int](repeating: 0, count: try take(bits: 3) + 3)
            default: all += [Int](repeating: 0, count: try take(bits: 7) + 11)
            }
        }
        guard all.count == literals + distances else { throw Self.damaged }
        return (Huffman(Array(all[..<literals])), Huffman(Array(all[literals...])))
    }

    private mutating func blocks(_ literals: Huffman, _ distances: Huffman, _ emit: ([UInt8]) throws -> Void) throws {
        while true {
            let value = try symbol(literals)
            if value < 256 {
                try put(UInt8(value), emit)
                continue
            }
            if value == 256 { return }
            guard value < 286 else { throw Self.damaged }
            let length = Self.lengthBase[value - 257] + (try take(bits: Self.lengthExtra[value - 257]))
            let place = try symbol(distances)
            guard place < 30 else { throw Self.damaged }
            let distance = Self.distanceBase[place] + (try take(bits: Self.distanceExtra[place]))
            guard distance <= window.count else { throw Self.damaged }
            for _ in 0..<length { try put(window[window.count - distance], emit) }
        }
    }

    private static let lengthBase = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227,
        258,
    ]
    private static let lengthExtra: [UInt32] = [
        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
    ]
    private static let distanceBase = [
        1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
        6145, 8193, 12289, 16385, 24577,
    ]
    private static let distanceExtra: [UInt32] = [
        0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
    ]
}

/// A canonical Huffman code: how many codes have each length, and their symbols in order.
private struct Huffman {
    let counts: [Int]
    let symbols: [Int]

    init(_ lengths: [Int]) {
        var counts = [Int](repeating: 0, count: 16)
        for length in lengths where length > 0 { counts[length] += 1 }
        self.counts = counts
        symbols = (1...15).flatMap { length in lengths.indices.filter { lengths[$0] == length } }
    }

    static let fixedLengths = Huffman(
        [Int](repeating: 8, count: 144) + [Int](repeating: 9, count: 112) + [Int](repeating: 7, count: 24)
            + [Int](repeating: 8, count: 8)
    )
    static let fixedDistances = Huffman([Int](repeating: 5, count: 30))
}
