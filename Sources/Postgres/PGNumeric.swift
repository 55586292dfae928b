/// An exact decimal as PostgreSQL's numeric holds it: base-10000 digits, a weight and a sign.
///
/// Equality is by value; the display scale does not count. Binary form after `numeric_send` (`numeric.c`).
package struct PGNumeric: Sendable, Hashable {
    private enum Sign: UInt16, Sendable {
        case positive = 0
        case negative = 0x4000
        case nan = 0xC000
        case infinity = 0xD000
        case minusInfinity = 0xF000
    }

    private let sign: Sign
    /// Decimal digits without leading or trailing zeros; the value is 0.d₁d₂d₃… × 10^exponent.
    private let digits: [UInt8]
    private let exponent: Int
    /// Digits behind the point that are written even when they are zeros; no part of the value.
    private let displayScale: Int

    package static func == (left: PGNumeric, right: PGNumeric) -> Bool {
        left.sign == right.sign && left.exponent == right.exponent && left.digits == right.digits
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(sign)
        hasher.combine(exponent)
        hasher.combine(digits)
    }

    private init(special sign: Sign) {
        self.sign = sign
        digits = []
        exponent = 0
        displayScale = 0
    }

    private init(negative: Bool, digits: some RandomAccessCollection<UInt8>, exponent: Int, displayScale: Int = 0) {
        // PostgreSQL's numeric shows at most 16,383 digits behind the point (NUMERIC_DSCALE_MAX).
        self.displayScale = min(max(0, displayScale), 16_383)
        let trimmed = digits.drop { $0 == 0 }
        var kept = Array(trimmed)
        while kept.last == 0 { kept.removeLast() }
        self.digits = kept
        self.exponent = kept.isEmpty ? 0 : exponent - (digits.count - trimmed.count)
        sign = negative && !kept.isEmpty ? .negative : .positive
    }

    package init(_ value: Int64) {
        let text = String(value.magnitude).utf8.map { $0 - 48 }
        self.init(negative: value < 0, digits: text, exponent: text.count)
    }

    /// The shortest decimal that reads back as the same double.
    package static func shortest(of value: Double) -> PGNumeric {
        if value.isNaN { return PGNumeric(special: .nan) }
        if value.isInfinite { return PGNumeric(special: value < 0 ? .minusInfinity : .infinity) }
        return PGNumeric(decimalText: value.description) ?? PGNumeric(special: .nan)
    }

    /// Reads `[+-]digits[.digits][e[+-]digits]`, NaN or ±Infinity; nil for anything else or an exponent beyond
    /// ±100,000.
    package init?(decimalText text: String) {
        switch text.lowercased() {
        case "nan":
            self.init(special: .nan)
            return
        case "infinity", "+infinity", "inf":
            self.init(special: .infinity)
            return
        case "-infinity", "-inf":
            self.init(special: .minusInfinity)
            return
        default: break
        }
        var rest = Array(text.utf8)[...]
        let negative = rest.first == UInt8(ascii: "-")
        if negative || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        var digits: [UInt8] = []
        var integral = 0
        var point = false
        var shift = 0
        while let byte = rest.first {
            if (48...57).contains(byte) {
                digits.append(byte - 48)
                if !point { integral += 1 }
            } else if byte == UInt8(ascii: "."), !point {
                point = true
            } else if byte | 32 == UInt8(ascii: "e") {
                guard let power = Int(String(decoding: rest.dropFirst(), as: UTF8.self)), abs(power) <= 100_000 else {
                    return nil
                }
                shift = power
                break
            } else {
                return nil
            }
            rest = rest.dropFirst()
        }
        guard !digits.isEmpty else { return nil }
        self.init(negative: negative, digits: digits, exponent: integral + shift)
    }

    /// An IEEE 754-2008 decimal128 in the binary integer encoding that BSON uses.
    package init?(decimal128High high: UInt64, low: UInt64) {
        let negative = high >> 63 == 1
        let combination = (high >> 58) & 0x1F
        if combination == 0x1F {
            self.init(special: .nan)
            return
        }
        if combination == 0x1E {
            self.init(special: negative ? .minusInfinity : .infinity)
            return
        }
        let large = (high >> 61) & 3 == 3
        let biased = Int(large ? (high >> 47) & 0x3FFF : (high >> 49) & 0x3FFF)
        // A coefficient beyond 34 digits is not canonical and counts as zero.
        var coefficient = large ? UInt128(0) : UInt128(high & 0x1_FFFF_FFFF_FFFF) << 64 | UInt128(low)
        if String(coefficient).count > 34 { coefficient = 0 }
        let digits = String(coefficient).utf8.map { $0 - 48 }
        self.init(
            negative: negative,
            digits: digits,
            exponent: digits.count + biased - 6176,
            displayScale: 6176 - biased
        )
    }

    /// Rounded half away from zero, as PostgreSQL rounds on assignment, and shown with just that many digits behind
    /// the point; a negative scale rounds left of it.
    package func rounded(toScale scale: Int) -> PGNumeric {
        guard isFinite else { return self }
        let negative = sign == .negative
        guard digits.count - exponent > scale else {
            return PGNumeric(negative: negative, digits: digits, exponent: exponent, displayScale: scale)
        }
        let keep = exponent + scale
        guard keep >= 0 else { return PGNumeric(negative: false, digits: [], exponent: 0, displayScale: scale) }
        var kept = [0] + digits.prefix(keep)
        if digits[keep] >= 5 {
            var index = kept.count - 1
            kept[index] += 1
            while kept[index] == 10 {
                kept[index] = 0
                index -= 1
                kept[index] += 1
            }
        }
        return PGNumeric(negative: negative, digits: kept, exponent: exponent + 1, displayScale: scale)
    }

    private var isFinite: Bool { sign == .positive || sign == .negative }

    /// Whether numeric(precision, scale) holds the rounded value; NaN fits, an infinity does not.
    package func fits(precision: Int, scale: Int) -> Bool {
        guard isFinite else { return sign == .nan }
        return digits.isEmpty || exponent <= precision - scale
    }

    /// Whether any numeric holds it: at most 131,072 digits before the point and 16,383 behind.
    package var isRepresentable: Bool { !isFinite || (exponent <= 131_072 && digits.count - exponent <= 16_383) }

    /// Appends the binary form; the display scale is the least that shows the value, or the one it was made with.
    package func append(to out: inout [UInt8]) {
        func big(_ value: UInt16) {
            out.append(UInt8(value >> 8))
            out.append(UInt8(truncatingIfNeeded: value))
        }
        guard isFinite, !digits.isEmpty else {
            big(0)
            big(0)
            big(sign.rawValue)
            big(UInt16(displayScale))
            return
        }
        // Group so that the decimal point falls between groups of four.
        let weight = (exponent + (exponent > 0 ? 3 : 0)) / 4 - 1
        let lead = (weight + 1) * 4 - exponent
        let groups = (lead + digits.count + 3) / 4
        big(UInt16(groups))
        big(UInt16(bitPattern: Int16(clamping: weight)))
        big(sign.rawValue)
        big(UInt16(clamping: max(displayScale, digits.count - exponent)))
        for group in 0..<groups {
            var value: UInt16 = 0
            for place in 0..<4 {
                let index = group * 4 + place - lead
                value = value * 10 + UInt16(digits.indices.contains(index) ? digits[index] : 0)
            }
            big(value)
        }
    }

    /// Reads what `numeric_send` writes; nil when the bytes are not such.
    package init?(binary bytes: Span<UInt8>) {
        guard bytes.count >= 8 else { return nil }
        func big(_ index: Int) -> UInt16 { UInt16(bytes[index]) << 8 | UInt16(bytes[index + 1]) }
        let groups = Int(big(0))
        guard let sign = Sign(rawValue: big(4)), bytes.count == 8 + groups * 2 else { return nil }
        guard sign == .positive || sign == .negative else {
            self.init(special: sign)
            return
        }
        var digits: [UInt8] = []
        for group in 0..<groups {
            let value = big(8 + group * 2)
            guard value < 10_000 else { return nil }
            digits += [UInt8(value / 1_000), UInt8(value / 100 % 10), UInt8(value / 10 % 10), UInt8(value % 10)]
        }
        self.init(
            negative: sign == .negative,
            digits: digits,
            exponent: (Int(Int16(bitPattern: big(2))) + 1) * 4
        )
    }

    /// Plain decimal text without needless zeros.
    package var text: String {
        switch sign {
        case .nan: return "NaN"
        case .infinity: return "Infinity"
        case .minusInfinity: return "-Infinity"
        case .positive, .negative: break
        }
        guard !digits.isEmpty else { return "0" }
        var out = sign == .negative ? "-" : ""
        let characters = digits.map { Character(Unicode.Scalar($0 + 48)) }
        if exponent <= 0 {
            out += "0." + String(repeating: "0", count: -exponent) + String(characters)
        } else if characters.count <= exponent {
            out += String(characters) + String(repeating: "0", count: exponent - characters.count)
        } else {
            out += String(characters[..<exponent]) + "." + String(characters[exponent...])
        }
        return out
    }
}

extension PGNumeric: Comparable {
    /// As PostgreSQL sorts: -Infinity, numbers, Infinity, NaN.
    package static func < (left: PGNumeric, right: PGNumeric) -> Bool {
        if left.rank != right.rank { return left.rank < right.rank }
        guard left.isFinite else { return false }
        let magnitude = left.magnitudePrecedes(right)
        return left.sign == .negative ? right.magnitudePrecedes(left) : magnitude
    }

    private var rank: Int {
        switch sign {
        case .minusInfinity: 0
        case .negative: 1
        case .positive: 2
        case .infinity: 3
        case .nan: 4
        }
    }

    private func magnitudePrecedes(_ other: PGNumeric) -> Bool {
        if digits.isEmpty || other.digits.isEmpty { return digits.isEmpty && !other.digits.isEmpty }
        if exponent != other.exponent { return exponent < other.exponent }
        return digits.lexicographicallyPrecedes(other.digits)
    }
}
