import Postgres

/// A decimal's text as the binary numeric of PostgreSQL, every digit kept, zeros behind the point too.
package enum DecimalField {
    /// Appends the field's bytes; false when the text is no finite decimal that a numeric holds.
    ///
    /// Up to 18 digits without an exponent take a short way; both ways give the same bytes for the same value.
    package static func append(
        _ bytes: borrowing Span<UInt8>,
        _ start: Int,
        _ end: Int,
        to out: inout [UInt8]
    ) -> Bool {
        if appendShort(bytes, start, end, to: &out) { return true }
        guard end - start <= 20_000 else { return false }
        var text: [UInt8] = []
        for place in start..<end { text.append(bytes[place]) }
        // NaN and infinities are words, and no amounts.
        guard text.allSatisfy({ $0 < 0x3A || $0 | 0x20 == UInt8(ascii: "e") }),
            let number = PGNumeric(decimalText: String(decoding: text, as: UTF8.self)), number.isRepresentable
        else { return false }
        shown(number, text).append(to: &out)
        return true
    }

    /// With as many digits behind the point as the text has; with an exponent, as few as show the value.
    private static func shown(_ number: PGNumeric, _ text: [UInt8]) -> PGNumeric {
        guard !text.contains(where: { $0 | 0x20 == UInt8(ascii: "e") }) else { return number }
        let scale = text.firstIndex(of: UInt8(ascii: ".")).map { text.count - $0 - 1 } ?? 0
        return scale > 16_383 ? number : number.rounded(toScale: scale)
    }

    private static func appendShort(_ bytes: borrowing Span<UInt8>, _ start: Int, _ end: Int, to out: inout [UInt8])
        -> Bool
    {
        var index = start
        let negative = index < end && bytes[index] == UInt8(ascii: "-")
        if negative { index += 1 }
        guard index < end, end - index <= 19 else { return false }
        var value: UInt64 = 0
        var scale = 0
        var point = false
        var digits = 0
        while index < end {
            let byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "."), !point, digits > 0 {
                point = true
                continue
            }
            guard byte &- 48 < 10 else { return false }
            value = value * 10 + UInt64(byte - 48)
            digits += 1
            if point { scale += 1 }
        }
        guard digits > 0, digits <= 18 else { return false }
        write(value, scale: scale, negative: negative, to: &out)
        return true
    }

    /// Base-10000 digits with the decimal point between two of them (`numeric_send`, numeric.c).
    private static func write(_ value: UInt64, scale: Int, negative: Bool, to out: inout [UInt8]) {
        func big(_ number: UInt16) {
            out.append(UInt8(number >> 8))
            out.append(UInt8(truncatingIfNeeded: number))
        }
        guard value > 0 else {
            for _ in 0..<3 { big(0) }
            big(UInt16(scale))
            return
        }
        let pad = (4 - scale % 4) % 4
        var rest = UInt128(value)
        for _ in 0..<pad { rest *= 10 }
        var weight = -((scale + pad) / 4)
        while rest % 10_000 == 0 {
            rest /= 10_000
            weight += 1
        }
        var groups: (UInt16, UInt16, UInt16, UInt16, UInt16, UInt16) = (0, 0, 0, 0, 0, 0)
        var count = 0
        while rest > 0 {
            let group = UInt16(rest % 10_000)
            rest /= 10_000
            switch count {
            case 0: groups.0 = group
            case 1: groups.1 = group
            case 2: groups.2 = group
            case 3: groups.3 = group
            case 4: groups.4 = group
            default: groups.5 = group
            }
            count += 1
        }
        big(UInt16(count))
        big(UInt16(bitPattern: Int16(weight + count - 1)))
        big(negative ? 0x4000 : 0)
        big(UInt16(scale))
        if count > 5 { big(groups.5) }
        if count > 4 { big(groups.4) }
        if count > 3 { big(groups.3) }
        if count > 2 { big(groups.2) }
        if count > 1 { big(groups.1) }
        big(groups.0)
    }
}
