/// One field of an expression as a set of values.
struct CronField: Sendable, Hashable {
    let values: Set<Int>
    /// `L` in day-of-month.
    var lastDay = false
    /// `5L` in day-of-week: the last Friday.
    var lastWeekdays: Set<Int> = []
    /// `MON#2`: weekday and which one of the month.
    var nthWeekdays: Set<[Int]> = []
    let beginsWithStar: Bool
    let text: String

    struct Kind {
        let name: String
        let range: ClosedRange<Int>
        var names: [String] = []
        var firstName = 0
    }

    init(_ text: String, _ kind: Kind) throws(CronParseError) {
        func refuse(_ reason: String) -> CronParseError { CronParseError(field: kind.name, reason: reason) }
        guard !text.isEmpty else { throw refuse("is empty") }
        var values: Set<Int> = []
        let isWeekday = kind.range.upperBound == 7
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard !part.isEmpty else { throw refuse("has an empty part") }
            if kind.name == "day of month", part.lowercased() == "l" {
                lastDay = true
                continue
            }
            if isWeekday, part.count > 1, part.last == "L" || part.last == "l" {
                lastWeekdays.insert(try Self.value(part.dropLast(), kind) % 7)
                continue
            }
            if isWeekday, let hash = part.firstIndex(of: "#") {
                guard let nth = Int(part[part.index(after: hash)...]), (1...5).contains(nth) else {
                    throw refuse("\"\(part)\" must end in #1 to #5")
                }
                nthWeekdays.insert([try Self.value(part[..<hash], kind) % 7, nth])
                continue
            }
            for value in try Self.range(part, kind) { values.insert(isWeekday ? value % 7 : value) }
        }
        self.values = values
        self.text = text
        beginsWithStar = text.hasPrefix("*")
    }

    private static func range(_ part: Substring, _ kind: Kind) throws(CronParseError) -> [Int] {
        func refuse(_ reason: String) -> CronParseError { CronParseError(field: kind.name, reason: reason) }
        let sides = part.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        var step = 1
        if sides.count == 2 {
            guard let number = Int(sides[1]), number > 0 else { throw refuse("\"\(part)\" has no step above 0") }
            step = number
        }
        let upper = kind.range.upperBound == 7 ? 6 : kind.range.upperBound
        if sides[0] == "*" { return Array(stride(from: kind.range.lowerBound, through: upper, by: step)) }
        let ends = sides[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let first = try value(ends[0], kind)
        if ends.count == 2 {
            let last = try value(ends[1], kind)
            guard first <= last else { throw refuse("the range \"\(sides[0])\" runs backwards") }
            return Array(stride(from: first, through: last, by: step))
        }
        return sides.count == 2 ? Array(stride(from: first, through: upper, by: step)) : [first]
    }

    private static func value(_ text: Substring, _ kind: Kind) throws(CronParseError) -> Int {
        if let index = kind.names.firstIndex(of: text.lowercased()) { return index + kind.firstName }
        guard let number = Int(text), text.allSatisfy({ $0.isASCII && $0.isNumber }) else {
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
}
