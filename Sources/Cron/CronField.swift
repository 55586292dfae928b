/// One field of an expression: what was written, part by part, and the values it stands for.
struct CronField: Sendable, Hashable {
    /// What stands between two commas.
    enum Part: Sendable, Hashable {
        /// `*` or `*/step`.
        case every(step: Int)
        case value(Int)
        /// `first-last/step`; `first/step` runs to the end of the field.
        case range(first: Int, last: Int, step: Int)
        /// `L` in day-of-month.
        case lastDay
        /// `5L` in day-of-week: the last Friday.
        case lastWeekday(Int)
        /// `MON#2`: the weekday and which one of the month.
        case nthWeekday(Int, nth: Int)
    }

    struct Kind {
        let name: String
        let range: ClosedRange<Int>
        var names: [String] = []
        var firstName = 0

        var isWeekday: Bool { range.upperBound == 7 }
    }

    let text: String
    let parts: [Part]
    /// Bit n stands for the value n. Sunday is 0, also where 7 was written.
    let values: UInt64
    /// Debian's test, for the first character only: it decides what "fixed time" is and whether both days must match.
    let beginsWithStar: Bool
    /// What `values` is when nothing is left out.
    let fullSet: UInt64

    init(_ text: String, _ kind: Kind) throws(CronParseError) {
        guard !text.isEmpty else { throw CronParseError(field: kind.name, reason: "is empty") }
        self.text = text
        beginsWithStar = text.hasPrefix("*")
        var parts: [Part] = []
        var values: UInt64 = 0
        for text in text.split(separator: ",", omittingEmptySubsequences: false) {
            let part = try Self.part(text, kind)
            parts.append(part)
            values |= Self.values(of: part, kind)
        }
        self.parts = parts
        fullSet = Self.values(of: .every(step: 1), kind)
        self.values = values
    }

    private static func part(_ text: Substring, _ kind: Kind) throws(CronParseError) -> Part {
        func refuse(_ reason: String) -> CronParseError { CronParseError(field: kind.name, reason: reason) }
        guard !text.isEmpty else { throw refuse("has an empty part") }
        if kind.name == "day of month", text.lowercased() == "l" { return .lastDay }
        if kind.isWeekday, text.count > 1, text.last == "L" || text.last == "l" {
            return .lastWeekday(try value(text.dropLast(), kind) % 7)
        }
        if kind.isWeekday, let hash = text.firstIndex(of: "#") {
            guard let nth = number(text[text.index(after: hash)...]), (1...5).contains(nth) else {
                throw refuse("\"\(text)\" must end in #1 to #5")
            }
            return .nthWeekday(try value(text[..<hash], kind) % 7, nth: nth)
        }
        let sides = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        var step: Int?
        if sides.count == 2 {
            guard let number = number(sides[1]), number > 0 else { throw refuse("\"\(text)\" has no step above 0") }
            step = number
        }
        if sides[0] == "*" { return .every(step: step ?? 1) }
        let ends = sides[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let first = try value(ends[0], kind)
        guard ends.count == 2 else {
            return step.map { .range(first: first, last: kind.range.upperBound, step: $0) } ?? .value(first)
        }
        let last = try value(ends[1], kind)
        guard first <= last else { throw refuse("the range \"\(sides[0])\" runs backwards") }
        return .range(first: first, last: last, step: step ?? 1)
    }

    private static func values(of part: Part, _ kind: Kind) -> UInt64 {
        func bits(_ first: Int, _ last: Int, _ step: Int) -> UInt64 {
            // A step as large as the field leaves the first value; a larger one is cut, so that it cannot overflow.
            stride(from: first, through: last, by: min(step, 64)).reduce(into: 0) { bits, value in
                bits |= 1 << UInt64(kind.isWeekday ? value % 7 : value)
            }
        }
        return switch part {
        case .every(let step): bits(kind.range.lowerBound, kind.range.upperBound, step)
        case .value(let value): bits(value, value, 1)
        case .range(let first, let last, let step): bits(first, last, step)
        case .lastDay, .lastWeekday, .nthWeekday: 0
        }
    }

    private static func value(_ text: Substring, _ kind: Kind) throws(CronParseError) -> Int {
        if let index = kind.names.firstIndex(of: text.lowercased()) { return index + kind.firstName }
        guard let number = number(text) else {
            throw CronParseError(field: kind.name, reason: "\"\(text)\" is not a value")
        }
        guard kind.range.contains(number) else {
            throw CronParseError(
                field: kind.name,
                reason: "\(number) is outside \(kind.range.lowerBound)-\(kind.range.upperBound)"
            )
        }
        return number
    }

    /// Digits only: no sign, no digit of another script.
    private static func number(_ text: Substring) -> Int? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
    }
}
