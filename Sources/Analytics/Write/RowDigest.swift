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
        var (word, length): (UInt64, Int) = (0, 0)
        for byte in hash.finalize() {
            word = word << 8 | UInt64(byte)
            length += 1
            switch length {
            case 8: lanes.0 &+= word
            case 16: lanes.1 &+= word
            case 24: lanes.2 &+= word
            case 32: lanes.3 &+= word
            default: continue
            }
            word = 0
        }
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
