/// IEEE 754-2008 decimal128 (binary integer decimal) as a JSON number with every digit it has.
enum Decimal128Text {
    private static let exponentBias = 6176
    private static let digitsMax: UInt128 = 9_999_999_999_999_999_999_999_999_999_999_999

    /// Appends a number (`1.50`, `1E+6144`), or the string `"NaN"`, `"Infinity"` or `"-Infinity"`.
    ///
    /// The form is that of the decimal arithmetic specification's `to-scientific-string`, as in MongoDB's shell; a
    /// coefficient beyond 34 digits is not canonical and means zero.
    static func append(high: UInt64, low: UInt64, to out: inout [UInt8]) {
        let negative = high >> 63 == 1
        switch (high >> 58) & 0x1F {
        case 0x1F: out.append(literal: "\"NaN\"")
        case 0x1E: out.append(literal: negative ? "\"-Infinity\"" : "\"Infinity\"")
        default:
            let long = (high >> 61) & 3 == 3
            let biased = Int((long ? high >> 47 : high >> 49) & 0x3FFF)
            let coefficient = UInt128(high & 0x1_FFFF_FFFF_FFFF) << 64 | UInt128(low)
            let canonical = !long && coefficient <= digitsMax
            if negative { out.append(UInt8(ascii: "-")) }
            appendFinite(canonical ? coefficient : 0, exponent: biased - exponentBias, to: &out)
        }
    }

    private static func appendFinite(_ coefficient: UInt128, exponent: Int, to out: inout [UInt8]) {
        var digits: [UInt8] = []
        var rest = coefficient
        repeat {
            digits.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        digits.reverse()
        let adjusted = exponent + digits.count - 1
        if exponent > 0 || adjusted < -6 {
            out.append(digits[0])
            if digits.count > 1 {
                out.append(UInt8(ascii: "."))
                out.append(contentsOf: digits[1...])
            }
            out.append(literal: adjusted < 0 ? "E" : "E+")
            JSONText.append(Int64(adjusted), to: &out)
        } else if exponent == 0 {
            out.append(contentsOf: digits)
        } else {
            let whole = digits.count + exponent
            if whole > 0 {
                out.append(contentsOf: digits[..<whole])
            } else {
                out.append(UInt8(ascii: "0"))
            }
            out.append(UInt8(ascii: "."))
            out.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: max(0, -whole)))
            out.append(contentsOf: digits[max(0, whole)...])
        }
    }
}
