import Foundation
import TestKit

/// One question for the oracles: when does this fire next, and when did it last, seen from `start`?
struct OracleCase {
    let expression: String
    let zone: String
    let start: Int

    /// Fires asked for on one line.
    static let fires = 3
    var line: String { "\(expression)\t\(zone)\t\(start)\t\(Self.fires)\n" }
}

/// Random expressions and starts; a third of them are aimed at changes of the clock.
struct OracleCases {
    static let zones = [
        "Europe/Paris", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia",
        "UTC",
    ]
    /// 2020-01-01 to 2041-01-01.
    static let years = 1_577_836_800..<2_240_524_800

    private struct ClockChange {
        let instant: Int
        /// What the clock shows before it, in seconds since 1970.
        let local: Int
        let forward: Bool
        /// By how many seconds.
        let shift: Int
    }

    private var random: SeededGenerator
    private let changes: [String: [ClockChange]]

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        changes = Dictionary(uniqueKeysWithValues: Self.zones.map { ($0, Self.changes(in: $0)) })
    }

    /// `count` expressions; each of them in one zone, in turn, or in all.
    mutating func make(_ count: Int, inEveryZone: Bool) -> [OracleCase] {
        let borrowed = changes["Europe/Paris", default: []]
        var cases: [OracleCase] = []
        for index in 0..<count {
            let home = Self.zones[index % Self.zones.count]
            let aimed = Int.random(in: 0..<3, using: &random) == 0
            // Zones that keep their clock are asked about the changes of another.
            let changes = aimed ? changes[home, default: []] : []
            let change = aimed ? (changes.isEmpty ? borrowed : changes).randomElement(using: &random) : nil
            let expression = change.map { aimedExpression($0.local) } ?? anyExpression()
            for zone in inEveryZone ? Self.zones : [home] {
                // An expression aimed at one zone's change is asked near some change of each other zone as well.
                let near = zone == home ? change : aimed ? self.changes[zone]?.randomElement(using: &random) : nil
                cases.append(OracleCase(expression: expression, zone: zone, start: start(zone, near, expression)))
            }
        }
        return cases
    }

    private mutating func start(_ zone: String, _ change: ClockChange?, _ expression: String) -> Int {
        var start = Int.random(in: Self.years, using: &random)
        if let change {
            let minutes = Int.random(in: 0..<4, using: &random) == 0 ? -3_000...3_000 : -200...120
            start = change.instant + 60 * Int.random(in: minutes, using: &random)
        }
        if Bool.random(using: &random) { start -= start % 60 }
        // cronsim answers a start inside a repeated hour with the past; `CronDaylightTests` has those starts.
        let repeated = changes[zone]?.first {
            !$0.forward && ($0.instant - $0.shift..<$0.instant + $0.shift).contains(start)
        }
        return repeated.map { $0.instant - $0.shift - 1 - start % 60 } ?? start
    }

    private static func changes(in name: String) -> [ClockChange] {
        guard let zone = TimeZone(identifier: name) else { return [] }
        var found: [ClockChange] = []
        var at = Date(timeIntervalSince1970: Double(years.lowerBound))
        while let next = zone.nextDaylightSavingTimeTransition(after: at),
            Int(next.timeIntervalSince1970) < years.upperBound
        {
            let (before, after) = (
                zone.secondsFromGMT(for: next.addingTimeInterval(-1)), zone.secondsFromGMT(for: next)
            )
            let instant = Int(next.timeIntervalSince1970)
            let change = ClockChange(
                instant: instant,
                local: instant + before,
                forward: after > before,
                shift: abs(after - before)
            )
            if after != before { found.append(change) }
            at = next
        }
        return found
    }
}

// MARK: - Expressions

extension OracleCases {
    private static let months = ["jan", "FEB", "mar", "Apr", "may", "jun", "jul", "aug", "SEP", "oct", "nov", "dec"]
    private static let weekdays = ["sun", "MON", "tue", "Wed", "thu", "fri", "SAT"]

    private mutating func oneIn(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }

    private mutating func anyExpression() -> String {
        let dayOfMonth = oneIn(2) ? "*" : oneIn(6) ? lastDay() : field(1...31)
        let month = oneIn(2) ? "*" : field(1...12, names: Self.months, firstName: 1)
        let dayOfWeek = oneIn(2) ? "*" : oneIn(4) ? specialWeekday() : field(0...7, names: Self.weekdays)
        return [field(0...59), field(0...23), dayOfMonth, month, dayOfWeek].joined(separator: " ")
    }

    /// At hours that the change skips, repeats or touches, on days that are mostly not restricted.
    private mutating func aimedExpression(_ local: Int) -> String {
        let hour = local / 3_600 % 24
        let near = [hour, (hour + 23) % 24, (hour + 1) % 24].sorted()
        let one = near.randomElement(using: &random) ?? hour
        let hours = [
            "\(hour)", "\(one)", "*", "*/\(Int.random(in: 1...4, using: &random))",
            near.map(String.init).joined(separator: ","),
            "0-23", "0-23/\(Int.random(in: 2...5, using: &random))", "\(min(hour, one))-\(max(hour, one))",
        ]
        let days = Date(timeIntervalSince1970: Double(local / 86_400 * 86_400))
        let civil = Calendar(identifier: .iso8601).dateComponents(in: .gmt, from: days)
        let day = civil.day ?? 1
        let daysOfMonth = [
            "*", "*", "*", "*", "\(day)", "*/\(Int.random(in: 1...7, using: &random))", "\(max(1, day - 3))-\(day)",
            "L",
        ]
        let weekday = ["*", "*", "*", "*", "7", "sat-7", "sun", specialWeekday()]
        return [
            oneIn(3) ? "\(Int.random(in: 0...59, using: &random))" : field(0...59),
            hours.randomElement(using: &random) ?? "*",
            daysOfMonth.randomElement(using: &random) ?? "*",
            oneIn(4) ? "\(civil.month ?? 1)" : "*",
            weekday.randomElement(using: &random) ?? "*",
        ].joined(separator: " ")
    }

    private mutating func lastDay() -> String { oneIn(2) ? "L" : oneIn(2) ? "L,\(part(1...31))" : "\(part(1...31)),L" }

    private mutating func specialWeekday() -> String {
        let weekday = Int.random(in: 0...7, using: &random)
        let special =
            oneIn(2)
            ? "\(weekday)L"
            : "\(oneIn(2) ? "\(weekday)" : Self.weekdays[weekday % 7])#\(Int.random(in: 1...5, using: &random))"
        return oneIn(4) ? "\(special),\(part(0...7))" : special
    }

    private mutating func field(_ range: ClosedRange<Int>, names: [String] = [], firstName: Int = 0) -> String {
        if oneIn(5) { return "*" }
        if oneIn(4) { return "*/\(Int.random(in: 1...range.upperBound, using: &random))" }
        let count = oneIn(3) ? Int.random(in: 2...4, using: &random) : 1
        return (0..<count).map { _ in part(range, names: names, firstName: firstName) }.joined(separator: ",")
    }

    private mutating func part(_ range: ClosedRange<Int>, names: [String] = [], firstName: Int = 0) -> String {
        let ends = [Int.random(in: range, using: &random), Int.random(in: range, using: &random)].sorted()
        let step = Int.random(in: 1...max(2, range.count / 3), using: &random)
        let named = !names.isEmpty && oneIn(3)
        // There is a name for 0 but none for 7.
        func say(_ value: Int) -> String {
            let index = value - firstName
            return named && names.indices.contains(index) ? names[index] : "\(value)"
        }
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return "*/\(step)"
        case 1: return "\(say(ends[0]))-\(say(ends[1]))"
        // cronsim takes a-a/n for a/n; `CronExpressionTests` has it.
        case 2 where ends[0] < ends[1]: return "\(say(ends[0]))-\(say(ends[1]))/\(step)"
        case 3: return "\(say(ends[0]))/\(step)"
        default: return say(ends[0])
        }
    }
}
