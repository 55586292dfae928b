import Crypto
import Foundation

/// A digest of a set of rows that does not depend on their order: the sum of SHA-256 over each row.
struct RowDigest: Sendable, Equatable {
    private(set) var count = 0
    private var lanes: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    static func == (left: RowDigest, right: RowDigest) -> Bool {
        left.count == right.count && left.lanes == right.lanes
    }

    /// Takes one row in as the bytes of its COPY BINARY tuple.
    mutating func add(_ tuple: ArraySlice<UInt8>) {
        var hash = SHA256()
        hash.update(data: tuple)
        var words: [UInt64] = [0, 0, 0, 0]
        for (index, byte) in hash.finalize().enumerated() { words[index >> 3] = words[index >> 3] << 8 | UInt64(byte) }
        lanes = (lanes.0 &+ words[0], lanes.1 &+ words[1], lanes.2 &+ words[2], lanes.3 &+ words[3])
        count += 1
    }

    /// Takes another set in.
    mutating func add(_ other: RowDigest) {
        lanes = (
            lanes.0 &+ other.lanes.0, lanes.1 &+ other.lanes.1, lanes.2 &+ other.lanes.2, lanes.3 &+ other.lanes.3
        )
        count += other.count
    }

    var hex: String {
        [lanes.0, lanes.1, lanes.2, lanes.3]
            .map { lane in
                let digits = String(lane, radix: 16)
                return String(repeating: "0", count: 16 - digits.count) + digits
            }
            .joined()
    }
}
