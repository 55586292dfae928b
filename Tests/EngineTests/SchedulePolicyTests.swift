import Cron
import Engine
import Foundation
import Testing

/// What is due when: arithmetic, no clock, no database.
@Suite struct SchedulePolicyTests {
    private static func schedule(_ text: String, _ change: (inout ScheduleDefinition) -> Void = { _ in }) throws
        -> ScheduleDefinition
    {
        var schedule = ScheduleDefinition(job: "job", expression: try CronExpression(text), timeZone: .gmt)
        change(&schedule)
        return schedule
    }

    /// 2026-11-20T00:00:00Z and seconds behind it.
    private static func at(_ seconds: TimeInterval) -> Date { Date(timeIntervalSince1970: 1_795_132_800 + seconds) }

    @Test func nothingIsDueTwice() throws {
        let schedule = try Self.schedule("*/10 * * * *")
        #expect(schedule.due(after: Self.at(0), at: Self.at(599)) == [])
        #expect(schedule.due(after: Self.at(0), at: Self.at(600)) == [Self.at(600)])
        #expect(schedule.due(after: Self.at(600), at: Self.at(600)) == [])
        #expect(schedule.due(after: Self.at(600), at: Self.at(1_199)) == [])
    }

    @Test func aClockSetBackRefiresNothing() throws {
        let schedule = try Self.schedule("* * * * *")
        #expect(schedule.due(after: Self.at(7_200), at: Self.at(3_600)) == [])
        #expect(schedule.due(after: Self.at(7_200), at: Self.at(7_260)) == [Self.at(7_260)])
    }

    @Test func latestMakesUpOne() throws {
        let schedule = try Self.schedule("*/10 * * * *")
        #expect(schedule.due(after: Self.at(0), at: Self.at(7_250)) == [Self.at(7_200)])
    }

    @Test func noneMakesUpNothingButFiresInTime() throws {
        let schedule = try Self.schedule("*/10 * * * *") { $0.misfire = .none }
        #expect(schedule.due(after: Self.at(0), at: Self.at(7_250)) == [])
        #expect(schedule.due(after: Self.at(0), at: Self.at(7_201)) == [Self.at(7_200)])
    }

    @Test func allMakesUpOldestFirstUpToTheLimit() throws {
        let schedule = try Self.schedule("*/10 * * * *") {
            $0.misfire = .all
            $0.misfireLimit = 3
        }
        #expect(schedule.due(after: Self.at(0), at: Self.at(1_850)) == [600, 1_200, 1_800].map(Self.at))
        #expect(schedule.due(after: Self.at(0), at: Self.at(7_250)) == [6_000, 6_600, 7_200].map(Self.at))
    }

    @Test func theWindowBoundsWhatIsMadeUp() throws {
        let schedule = try Self.schedule("0 0 1 * *") { $0.misfireWindow = 3_600 }
        #expect(schedule.due(after: Self.at(-86_400 * 60), at: Self.at(0)) == [])
        let daily = try Self.schedule("0 0 * * *") { $0.misfireWindow = 3_600 }
        #expect(daily.due(after: Self.at(-86_400 * 60), at: Self.at(1_800)) == [Self.at(0)])
        #expect(daily.due(after: Self.at(-86_400 * 60), at: Self.at(3_700)) == [])
    }

    @Test func jitterIsDrawnPerFireAndStaysBeforeTheNext() throws {
        let schedule = try Self.schedule("* * * * *") { $0.jitter = 600 }
        var delays: Set<TimeInterval> = []
        for minute in 0..<500 {
            let fire = Self.at(Double(minute) * 60)
            let delay = schedule.delay(of: fire)
            #expect(delay >= 0 && delay < 60)
            #expect(schedule.delay(of: fire) == delay, "the same on every replica")
            delays.insert(delay)
            #expect(schedule.due(after: fire.addingTimeInterval(-60), at: fire.addingTimeInterval(delay)).last == fire)
        }
        #expect(delays.count == 500)
        let mean = delays.reduce(0, +) / 500
        #expect(mean > 25 && mean < 34, "uniform in 0…59")
    }

    /// Every sequence of ticks over a day and a half fires each instant at most once, and with `all` every one.
    @Test(arguments: MisfirePolicy.allCases)
    func anySequenceOfTicksFiresOnce(policy: MisfirePolicy) throws {
        let schedule = try Self.schedule("*/15 3-5,23 * * *") {
            $0.misfire = policy
            $0.misfireLimit = 1_000
        }
        for seed in 0..<50 {
            var random = SplitMix(state: UInt64(seed))
            var last = Self.at(0)
            var now = Self.at(0)
            var fired: [Date] = []
            while now < Self.at(130_000) {
                now = now.addingTimeInterval(Double(random.next() % 4_000) - 300)
                let due = schedule.due(after: last, at: now)
                #expect(due == due.sorted() && (due.first ?? .distantFuture) > last)
                fired += due
                last = due.last ?? last
            }
            #expect(Set(fired).count == fired.count, "seed \(seed)")
            guard policy == .all else { continue }
            var expected: [Date] = []
            var at = Self.at(0)
            while let next = schedule.expression.next(after: at, in: .gmt), next <= last {
                expected.append(next)
                at = next
            }
            #expect(fired == expected, "seed \(seed)")
        }
    }

    private struct SplitMix {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }
}
