import Foundation

/// SplitMix64: the same seed gives the same numbers on every machine. Interpolate it into a test's message.
package struct SeededGenerator: RandomNumberGenerator, Sendable, CustomStringConvertible {
    package let seed: UInt64
    private var state: UInt64

    package init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    package var description: String { "TEST_SEED=\(seed)" }

    /// The seeds of a property: `count` fixed ones, or the single one in `TEST_SEED`, to repeat a failure.
    package static func seeds(_ count: Int = 200) -> [UInt64] {
        if let one = ProcessInfo.processInfo.environment["TEST_SEED"].flatMap({ UInt64($0) }) { return [one] }
        return (0..<count).map { UInt64($0) &* 0x2545_F491_4F6C_DD1D &+ 1 }
    }
}

/// Names that no other test uses, for databases, collections, schemas, files.
package enum TestTag {
    /// `prefix_` and 32 hex digits: a lower-case identifier that needs no quoting anywhere.
    package static func fresh(_ prefix: String = "t") -> String {
        prefix + "_" + UUID().uuidString.lowercased().filter { $0 != "-" }
    }
}
