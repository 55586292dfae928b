extension PGNumeric {
    /// The binary form of a numeric with at most five groups of four digits, in numbers instead of memory.
    package struct Short {
        /// How many groups there are, the weight of the first, the sign, and the digits shown behind the point.
        package let head: UInt64
        /// The first four groups from the highest bits down, and the fifth.
        package let groups: UInt64
        package let fifth: UInt16

        package var groupCount: Int { Int(head >> 48) }
    }

    /// The binary form of the shortest decimal that reads back as `value`, without making one: what `shortest(of:)`,
    /// `rounded(toScale:)`, `fits` and `append(to:)` give together.
    ///
    /// For what has at most two digits behind the point and fifteen in all, as prices have; nil for everything else and
    /// for what does not fit `precision`.
    package static func short(_ value: Double, precision: Int? = nil, scale: Int = 0) -> Short? {
        let scaled = value * 100
        guard scaled.magnitude < 1e15 else { return nil }
        // A quotient of two such whole numbers is the double nearest to it, and no other decimal of up to fifteen
        // digits has the same nearest double.
        let hundredths = Int64(scaled + (scaled < 0 ? -0.5 : 0.5))
        guard Double(hundredths) / 100 == value else { return nil }
        let (whole, fraction) = hundredths.magnitude.quotientAndRemainder(dividingBy: 100)
        var shown = fraction == 0 ? 0 : fraction % 10 == 0 ? 1 : 2
        if let precision {
            guard scale >= shown, (0...15).contains(precision - scale) else { return nil }
            var limit: UInt64 = 1
            for _ in 0..<(precision - scale) { limit *= 10 }
            guard whole < limit else { return nil }
            shown = scale
        }
        return short(whole, fraction * 100, negative: hundredths < 0, shown: shown)
    }

    /// Groups of four digits: up to four before the point, one behind it; groups of zeros at either end are left out.
    private static func short(_ whole: UInt64, _ behind: UInt64, negative: Bool, shown: Int) -> Short {
        var before = whole
        if whole >= 10_000 {
            before = whole % 10_000 | ((whole / 10_000 % 10_000) << 16)
            before |= ((whole / 100_000_000 % 10_000) << 32) | ((whole / 1_000_000_000_000) << 48)
        }
        let first = before.leadingZeroBitCount / 16
        let end = behind > 0 ? 5 : 4 - (before == 0 ? 0 : before.trailingZeroBitCount / 16)
        let isZero = first >= end
        let sign: UInt64 = negative && !isZero ? 0x4000 : 0
        let weight = isZero ? 0 : UInt64(UInt16(truncatingIfNeeded: 3 - first))
        return Short(
            head: UInt64(isZero ? 0 : end - first) << 48 | weight << 32 | sign << 16 | UInt64(shown),
            groups: before << (first * 16) | (first > 0 ? behind << (first * 16 - 16) : 0),
            fifth: UInt16(truncatingIfNeeded: behind)
        )
    }
}
