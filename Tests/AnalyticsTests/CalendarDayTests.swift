import Analytics
import Engine
import Foundation
import Testing

@Suite struct CalendarDayTests {
    @Test func textsAreReadAndWritten() {
        for text in ["1970-01-01", "2000-02-29", "2024-02-29", "2026-12-31", "2100-03-01"] {
            #expect(CalendarDay(text)?.description == text)
        }
        for text in ["2026-02-29", "2026-13-01", "26-01-01", "2026-1-1", "2026-01-01T00:00", "", "2026-00-10"] {
            #expect(CalendarDay(text) == nil, "\(text)")
        }
    }

    @Test func mondaysAreMondays() throws {
        let monday = try #require(CalendarDay("2026-11-16"))
        for offset in 0..<7 { #expect(monday.advanced(by: offset).monday == monday) }
        #expect(monday.advanced(by: 7).monday == monday.advanced(by: 7))
        #expect(CalendarDay("1970-01-05")?.monday == CalendarDay("1970-01-05"))
    }

    /// A day of the zone's clock change has 23 or 25 hours, and days meet without gap.
    @Test(arguments: [
        ("Europe/Berlin", "2026-03-29", 23.0), ("Europe/Berlin", "2026-10-25", 25.0), ("UTC", "2026-03-29", 24.0),
        ("America/New_York", "2026-03-08", 23.0), ("Asia/Beirut", "2024-03-31", 23.0),
    ])
    func daysOfClockChanges(zone: String, day: String, hours: Double) throws {
        let zone = try #require(TimeZone(identifier: zone))
        let day = try #require(CalendarDay(day))
        let start = day.start(in: zone)
        #expect(day.advanced(by: 1).start(in: zone).timeIntervalSince(start) == hours * 3_600)
        #expect(CalendarDay(of: start, in: zone) == day)
        #expect(CalendarDay(of: start.addingTimeInterval(-1), in: zone) == day.advanced(by: -1))
    }
}

@Suite struct DayPlanTests {
    static let today = CalendarDay(number: 20_000)

    static func plan(computed: ComputedDays = ComputedDays(), _ set: (inout RunOptions) -> Void) throws -> DayPlan {
        var options = RunOptions()
        set(&options)
        return try DayPlan(options, today: today, lookbackDays: 3, computed: computed)
    }

    /// The days that a run without options plans after a job computed `days`, the last of which is its newest.
    static func due(after days: [ClosedRange<Int>], newest: Int? = nil) throws -> [Int] {
        let marked = Set(days.flatMap { $0 }.map { CalendarDay(number: $0) })
        let newest = newest.map { CalendarDay(number: $0) } ?? marked.max()
        return try plan(computed: ComputedDays(newest: newest, first: marked.min(), days: marked)) { _ in }
            .days.map(\.number)
    }

    @Test func withoutOptionsYesterdayAndTheLookback() throws {
        let usual = Array(19_996...19_999)
        #expect(try Self.plan { _ in }.days.map(\.number) == usual)
        #expect(try Self.due(after: [19_900...19_999]) == usual)
        #expect(try Self.due(after: [19_900...19_998]) == usual, "yesterday alone is no gap")
        #expect(try Self.due(after: [19_900...20_000]) == usual, "as earlier versions marked the day under way")
    }

    @Test func afterAPauseEveryDayIsDue() throws {
        #expect(try Self.due(after: [19_900...19_990]) == Array(19_987...19_999), "late data of before the pause")
        #expect(try Self.due(after: [19_900...19_995]) == Array(19_992...19_999))
        #expect(try Self.due(after: [19_900...19_997]) == Array(19_994...19_999))
        #expect(try Self.due(after: [100...100]).count == 93, "catching up has a ceiling")
        #expect(try Self.due(after: [19_990...19_990]) == Array(19_990...19_999), "nothing before the first day ever")
        #expect(try Self.due(after: [19_900...19_999], newest: 19_990) == Array(19_987...19_999), "moved back")
    }

    /// Days that were asked for out of turn hide no gap, and what lies between two gaps is left as it is.
    @Test func gapsAreDue() throws {
        #expect(
            try Self.due(after: [19_900...19_949, 19_952...19_969, 19_971...19_999])
                == Array(19_946...19_951) + Array(19_966...19_970) + Array(19_996...19_999)
        )
        #expect(
            try Self.due(after: [19_800...19_810, 19_950...19_999]) == Array(19_907...19_949) + Array(19_996...19_999)
        )
    }

    @Test func daysAskedForAreThoseAlone() throws {
        let computed = ComputedDays(newest: CalendarDay(number: 19_980), first: CalendarDay(number: 19_900))
        #expect(try Self.plan(computed: computed) { $0.daysBack = 2 }.days.map(\.number) == [19_998, 19_999])
    }

    @Test func backfillsAreCutIntoWindows() throws {
        let plan = try Self.plan {
            ($0.backfill, $0.startDate, $0.endDate, $0.batchDays) = (true, "2024-01-01", "2024-01-17", 7)
        }
        #expect(plan.windows.map(\.count) == [7, 7, 3])
        #expect(plan.last?.description == "2024-01-17")
    }

    @Test func daysBackEndYesterday() throws {
        #expect(try Self.plan { $0.daysBack = 2 }.days.map(\.number) == [19_998, 19_999])
    }

    @Test func contradictionsAreRefused() {
        let bad: [(inout RunOptions) -> Void] = [
            { ($0.date, $0.daysBack) = ("2024-01-01", 3) }, { $0.date = "2024-02-30" }, { $0.date = "2099-01-01" },
            { $0.endDate = "2024-01-01" }, { ($0.startDate, $0.endDate) = ("2024-02-01", "2024-01-01") },
            { $0.backfill = true }, { ($0.startDate, $0.batchDays) = ("2024-01-01", 7) },
            { $0.startDate = "1999-01-01" },
        ]
        for set in bad { #expect(throws: (any Error).self) { try Self.plan(set) } }
    }
}
