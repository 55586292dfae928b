import Postgres
import Testing

/// The short way from a double to numeric's bytes gives what the long one gives.
@Suite struct PGNumericDoubleTests {
    private static func long(_ value: Double, precision: Int?, scale: Int) -> [UInt8]? {
        var numeric = PGNumeric.shortest(of: value)
        if let precision {
            numeric = numeric.rounded(toScale: scale)
            guard numeric.fits(precision: precision, scale: scale) else { return nil }
        }
        var bytes: [UInt8] = []
        numeric.append(to: &bytes)
        return bytes
    }

    private static func short(_ value: Double, precision: Int?, scale: Int) -> [UInt8]? {
        PGNumeric.short(value, precision: precision, scale: scale).map { short in
            let words = [short.head, short.groups].flatMap { word in (0..<8).map { UInt8((word << ($0 * 8)) >> 56) } }
            return Array(
                (words + [UInt8(short.fifth >> 8), UInt8(short.fifth & 255)]).prefix(8 + short.groupCount * 2)
            )
        }
    }

    @Test(arguments: 0..<300)
    func agreesWithTheLongWay(seed: Int) {
        var random = SystemRandomNumberGenerator()
        let cents = Int64.random(in: -1_000_000_000_000_000...1_000_000_000_000_000, using: &random)
        let values = [
            Double(cents) / 100, Double(cents % 1_000_000) / 100, Double(cents % 100_000), Double(cents % 100) / 1_000,
            Double(bitPattern: UInt64.random(in: 0...UInt64.max, using: &random)),
        ]
        for value in values where value.isFinite {
            for (precision, scale) in [(nil, 0), (10, 2), (12, 4), (20, 2), (5, 0)] as [(Int?, Int)] {
                guard let short = Self.short(value, precision: precision, scale: scale) else { continue }
                #expect(
                    short == Self.long(value, precision: precision, scale: scale),
                    "\(value) as numeric(\(precision ?? 0),\(scale))"
                )
            }
        }
    }

    @Test(arguments: [
        0, -0.0, 0.01, 0.1, 1, 9.99, 10, 100, 9_999, 10_000, 10_000.5, 99_990_000, 123_456_789_012.34,
        9_999_999_999_999.99,
    ])
    func takesPrices(value: Double) {
        let short = Self.short(value, precision: nil, scale: 0)
        #expect(short != nil)
        #expect(short == Self.long(value, precision: nil, scale: 0))
    }

    @Test(arguments: [0.001, 1.005, 1e300, -1e16, .nan, .infinity, 0.1 + 0.2])
    func leavesTheRestToTheLongWay(value: Double) {
        #expect(Self.short(value, precision: nil, scale: 0) == nil)
    }
}
