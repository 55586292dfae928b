import Foundation

/// The order of BSON values that MongoDB sorts by.
///
/// https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
enum BSONOrder {
    /// The bracket of a type: values compare within one, and `$gt` and its like never look outside it.
    static func bracket(_ type: UInt8) -> Int {
        switch type {
        case 0xFF: -1
        case 0x06: 0
        case 0x0A: 5
        case 0x01, 0x10, 0x12, 0x13: 10
        case 0x02, 0x0E: 15
        case 0x03: 20
        case 0x04: 25
        case 0x05: 30
        case 0x07: 35
        case 0x08: 40
        case 0x09: 45
        case 0x11: 47
        case 0x0B: 50
        case 0x0C: 55
        case 0x0D: 60
        case 0x0F: 65
        default: 127
        }
    }

    static func compare(_ left: RawValue, _ right: RawValue) -> Int {
        if left.type == 0x07, right.type == 0x07 { return bytes(left.bytes, right.bytes) }
        let brackets = (bracket(left.type), bracket(right.type))
        guard brackets.0 == brackets.1 else { return brackets.0 < brackets.1 ? -1 : 1 }
        switch left.type {
        case 0x01, 0x10, 0x12, 0x13: return BSONNumber.compare(BSONNumber(left), BSONNumber(right))
        case 0x02, 0x0D, 0x0E: return prefixed(left, right)
        case 0x03, 0x04:
            guard let first = left.document, let second = right.document else { return 0 }
            return documents(first, second, named: left.type == 0x03)
        case 0x05:
            if left.count != right.count { return left.count < right.count ? -1 : 1 }
            return bytes(left.bytes[4...], right.bytes[4...])
        case 0x08: return Int(left.start[0]) - Int(right.start[0])
        case 0x09: return ordered(left.load(as: Int64.self), right.load(as: Int64.self))
        case 0x11: return ordered(left.load(as: UInt64.self), right.load(as: UInt64.self))
        case 0x0B, 0x0F: return bytes(left.bytes, right.bytes)
        case 0x0C:
            if left.count != right.count { return left.count < right.count ? -1 : 1 }
            return bytes(left.bytes, right.bytes)
        default: return 0
        }
    }

    static func ordered<Value: Comparable>(_ left: Value, _ right: Value) -> Int {
        left < right ? -1 : left == right ? 0 : 1
    }

    /// Like memcmp, the shorter first where one is the beginning of the other.
    @inline(__always)
    private static func bytes(
        _ left: some Collection<UInt8>,
        _ right: some Collection<UInt8>
    ) -> Int {
        for (first, second) in zip(left, right) where first != second { return first < second ? -1 : 1 }
        return ordered(left.count, right.count)
    }

    private static func bytes(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Int {
        let shared = min(left.count, right.count)
        if shared > 0, let first = left.baseAddress, let second = right.baseAddress {
            let order = Int(memcmp(first, second, shared))
            if order != 0 { return order }
        }
        return ordered(left.count, right.count)
    }

    private static func prefixed(_ left: RawValue, _ right: RawValue) -> Int {
        bytes(
            UnsafeBufferPointer(start: left.start + 4, count: left.count - 5),
            UnsafeBufferPointer(start: right.start + 4, count: right.count - 5)
        )
    }

    /// Element by element: bracket, then (in documents) name, then value; the shorter one first.
    private static func documents(_ left: RawDocument, _ right: RawDocument, named: Bool) -> Int {
        var first = left.makeIterator()
        var second = right.makeIterator()
        while true {
            guard let one = first.next() else { return second.next() == nil ? 0 : -1 }
            guard let other = second.next() else { return 1 }
            let brackets = ordered(bracket(one.value.type), bracket(other.value.type))
            if brackets != 0 { return brackets }
            if named {
                let names = bytes(one.nameBytes, other.nameBytes)
                if names != 0 { return names }
            }
            let values = compare(one.value, other.value)
            if values != 0 { return values }
        }
    }
}

/// A number of any BSON type, compared by value: exactly, but for a double beside a Decimal128, where the double is
/// rounded to 34 digits as the server does.
enum BSONNumber {
    case int(Int64)
    case double(Double)
    case decimal(Decimal)
    case notANumber

    /// coefficient · 10^exponent; an infinity has the exponent `Int.max`.
    struct Decimal {
        var negative: Bool
        var coefficient: UInt128
        var exponent: Int
    }

    init(_ value: RawValue) {
        switch value.type {
        case 0x10: self = .int(Int64(value.load(as: Int32.self)))
        case 0x12: self = .int(value.load())
        case 0x01: self = value.double.isNaN ? .notANumber : .double(value.double)
        default: self = Self.decimal128(low: value.load(), high: value.load(8))
        }
    }

    var isNaN: Bool { if case .notANumber = self { true } else { false } }

    private static func decimal128(low: UInt64, high: UInt64) -> BSONNumber {
        let negative = high >> 63 == 1
        switch (high >> 58) & 0x1F {
        case 0x1F: return .notANumber
        case 0x1E: return .decimal(Decimal(negative: negative, coefficient: 1, exponent: .max))
        default: break
        }
        // The second form of the coefficient is beyond 34 digits: such numbers are read as zero.
        if (high >> 61) & 0x3 == 0x3 { return .decimal(Decimal(negative: negative, coefficient: 0, exponent: 0)) }
        let coefficient = UInt128(high & 0x1_FFFF_FFFF_FFFF) << 64 | UInt128(low)
        let exponent = Int((high >> 49) & 0x3FFF) - 6176
        return .decimal(
            Decimal(negative: negative, coefficient: coefficient < tenTo34 ? coefficient : 0, exponent: exponent)
        )
    }

    static func compare(_ left: BSONNumber, _ right: BSONNumber) -> Int {
        switch (left, right) {
        case (.notANumber, .notANumber): 0
        case (.notANumber, _): -1
        case (_, .notANumber): 1
        case (.int(let left), .int(let right)): BSONOrder.ordered(left, right)
        case (.double(let left), .double(let right)): BSONOrder.ordered(left, right)
        case (.int(let left), .double(let right)): compare(left, right)
        case (.double(let left), .int(let right)): -compare(right, left)
        default: compare(left.asDecimal, right.asDecimal)
        }
    }

    private static func compare(_ left: Int64, _ right: Double) -> Int {
        if right >= 0x1p63 { return -1 }
        if right < -0x1p63 { return 1 }
        let whole = Int64(right)
        if left != whole { return left < whole ? -1 : 1 }
        return BSONOrder.ordered(0, right - Double(whole))
    }

    private var asDecimal: Decimal {
        switch self {
        case .int(let value): Decimal(negative: value < 0, coefficient: UInt128(value.magnitude), exponent: 0)
        case .double(let value): Self.decimal(value)
        case .decimal(let value): value
        case .notANumber: Decimal(negative: false, coefficient: 0, exponent: 0)
        }
    }

    private static func decimal(_ value: Double) -> Decimal {
        let negative = value.sign == .minus
        guard value.isFinite else { return Decimal(negative: negative, coefficient: 1, exponent: .max) }
        // One digit, a point, 33 digits, then the exponent.
        let parts = String(format: "%.33e", value.magnitude).split(separator: "e")
        guard parts.count == 2, let coefficient = UInt128(parts[0].filter { $0 != "." }), let power = Int(parts[1])
        else { return Decimal(negative: negative, coefficient: 0, exponent: 0) }
        return Decimal(negative: negative, coefficient: coefficient, exponent: power - 33)
    }

    private static func compare(_ left: Decimal, _ right: Decimal) -> Int {
        if left.coefficient == 0 || right.coefficient == 0 || left.negative != right.negative {
            return BSONOrder.ordered(signum(left), signum(right))
        }
        return left.negative ? magnitudes(right, left) : magnitudes(left, right)
    }

    private static func signum(_ value: Decimal) -> Int { value.coefficient == 0 ? 0 : value.negative ? -1 : 1 }

    private static func magnitudes(_ left: Decimal, _ right: Decimal) -> Int {
        if left.exponent == .max || right.exponent == .max { return BSONOrder.ordered(left.exponent, right.exponent) }
        let tops = (digits(left.coefficient) + left.exponent, digits(right.coefficient) + right.exponent)
        if tops.0 != tops.1 { return tops.0 < tops.1 ? -1 : 1 }
        // The same first digit's place: the difference of the exponents is one of the digit counts, at most 34.
        let shift = left.exponent - right.exponent
        return BSONOrder.ordered(
            left.coefficient * power(max(0, shift)),
            right.coefficient * power(max(0, -shift))
        )
    }

    private static let tenTo34 = power(34)

    private static func power(_ exponent: Int) -> UInt128 { (0..<exponent).reduce(1) { power, _ in power * 10 } }

    private static func digits(_ value: UInt128) -> Int {
        var count = 0
        var rest = value
        while rest > 0 {
            rest /= 10
            count += 1
        }
        return count
    }
}
