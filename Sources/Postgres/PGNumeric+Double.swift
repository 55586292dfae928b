extension PGNumeric {
    /// Appends the binary form of the shortest decimal that reads back as `value`, without making one: what
    /// `shortest(of:)`, `rounded(toScale:)`, `fits` and `append(to:)` give together.
    ///
    /// Takes what has at most two digits behind the point and fifteen in all, as prices have; false, with nothing
    /// appended, for everything else and for what does not fit `precision`.
    package static func appendShortest(
        of value: Double,
        precision: Int? = nil,
        scale: Int = 0,
        to out: inout [UInt8]
    ) -> Bool {
        // A quotient of two such whole numbers is the double nearest to it, and no other decimal of up to fifteen
        // digits has the same nearest double.
        let hundredths = (value * 100).rounded()
        guard hundredths.magnitude < 1e15, hundredths / 100 == value else { return false }
        let magnitude = UInt64(hundredths.magnitude)
        let whole = magnitude / 100
        let fraction = magnitude % 100
        var shown = fraction == 0 ? 0 : fraction % 10 == 0 ? 1 : 2
        if let precision {
            guard scale >= shown, (0...15).contains(precision - scale) else { return false }
            var limit: UInt64 = 1
            for _ in 0..<(precision - scale) { limit *= 10 }
            guard whole < limit else { return false }
            shown = scale
        }
        append(whole, fraction, negative: hundredths < 0, shown: shown, to: &out)
        return true
    }

    /// Groups of four digits: up to four before the point, one behind it; groups of zeros at either end are left out.
    private static func append(
        _ whole: UInt64,
        _ fraction: UInt64,
        negative: Bool,
        shown: Int,
        to out: inout [UInt8]
    ) {
        let groups: InlineArray<5, UInt16> = [
            UInt16(whole / 1_000_000_000_000 % 10_000), UInt16(whole / 100_000_000 % 10_000),
            UInt16(whole / 10_000 % 10_000), UInt16(whole % 10_000), UInt16(fraction * 100),
        ]
        var first = 0
        while first < 5, groups[first] == 0 { first += 1 }
        var end = 5
        while end > first, groups[end - 1] == 0 { end -= 1 }
        var bytes = InlineArray<18, UInt8>(repeating: 0)
        var count = 0
        func big(_ value: UInt16) {
            bytes[count] = UInt8(value >> 8)
            bytes[count + 1] = UInt8(truncatingIfNeeded: value)
            count += 2
        }
        big(UInt16(end - first))
        big(UInt16(bitPattern: first == 5 ? 0 : Int16(3 - first)))
        big(negative && first < 5 ? 0x4000 : 0)
        big(UInt16(shown))
        for group in first..<end { big(groups[group]) }
        bytes.span.extracting(0..<count).withUnsafeBufferPointer { out.append(contentsOf: $0) }
    }
}
