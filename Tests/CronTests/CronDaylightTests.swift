import Cron
import Foundation
import TestKit
import Testing

/// The rules of daylight saving by example, among them what the oracles are not asked about.
@Suite struct CronDaylightTests {
    private static func date(_ text: String) throws -> Date { try Date.ISO8601FormatStyle().parse(text) }

    @Test(arguments: [
        // cronsim answers a start in the second pass of a repeated hour with the past: a fixed time has fired.
        ("30 2 * * *", "Europe/Paris", "2026-10-25T01:15:00Z", ["2026-10-26T01:30:00Z"]),
        ("45 2,3 * * *", "Europe/Paris", "2026-10-25T01:15:00Z", ["2026-10-25T02:45:00Z", "2026-10-26T01:45:00Z"]),
        ("30 1 * * *", "America/New_York", "2026-11-01T06:10:00Z", ["2026-11-02T06:30:00Z"]),
        // The first pass is still to come.
        ("30 2 * * *", "Europe/Paris", "2026-10-25T00:15:00Z", ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
        // Whatever follows the clock fires in both passes.
        ("*/30 2 * * *", "Europe/Paris", "2026-10-25T00:15:00Z", ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"]),
        ("15 * * * *", "America/New_York", "2026-11-01T05:10:00Z", ["2026-11-01T05:15:00Z", "2026-11-01T06:15:00Z"]),
        // Santiago skips the hour after midnight: a fixed time fires at once after it, no other does (cronsim gives
        // the midnight that never was, and misses 01:00).
        ("30 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", ["2026-09-06T04:00:00Z", "2026-09-07T03:30:00Z"]),
        ("*/30 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", ["2026-09-07T03:00:00Z", "2026-09-07T03:30:00Z"]),
        ("*/30 1 * * *", "America/Santiago", "2026-09-05T12:00:00Z", ["2026-09-06T04:00:00Z", "2026-09-06T04:30:00Z"]),
        // And repeats the hour before midnight.
        ("30 23 * * *", "America/Santiago", "2026-04-04T12:00:00Z", ["2026-04-05T02:30:00Z", "2026-04-06T03:30:00Z"]),
        ("30 * 4 4 *", "America/Santiago", "2026-04-05T02:00:00Z", ["2026-04-05T02:30:00Z", "2026-04-05T03:30:00Z"]),
        // Lord Howe moves by half an hour: 02:00 to 02:30 is skipped, 01:30 to 02:00 comes twice.
        (
            "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z",
            ["2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"]
        ),
        (
            "15 * * * *", "Australia/Lord_Howe", "2026-10-03T14:50:00Z",
            ["2026-10-03T16:15:00Z", "2026-10-03T17:15:00Z"]
        ),
        (
            "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z",
            ["2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"]
        ),
        (
            "45 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00:00Z",
            ["2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"]
        ),
        (
            "*/15 2 * * *", "Australia/Lord_Howe", "2026-04-04T15:15:00Z",
            ["2026-04-04T15:30:00Z", "2026-04-04T15:45:00Z"]
        ),
        // Several fixed times in one gap are one fire, also with a time that the clock shows right after it.
        ("0,30 2,3 * * *", "Europe/Paris", "2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]),
        // Samoa had no 30 December 2011.
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", ["2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"]),
        ("0 * 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", ["2012-12-29T10:00:00Z", "2012-12-29T11:00:00Z"]),
    ])
    func firesAroundAChange(expression: String, zone: String, start: String, fires: [String]) throws {
        let (cron, zone) = (try CronExpression(expression), try #require(TimeZone(identifier: zone)))
        var at = try Self.date(start)
        for fire in fires {
            let next = cron.next(after: at, in: zone)
            #expect(next == (try Self.date(fire)), "\(expression) after \(at)")
            at = try Self.date(fire)
            #expect(cron.previous(before: at.addingTimeInterval(1), in: zone) == at, "\(expression) back to \(at)")
        }
    }

    /// A legal expression whose every time falls into a gap: the search ends.
    @Test func neverOnTheClock() throws {
        let (cron, zone) = (
            try CronExpression("*/30 2 8-14 3 */7"), try #require(TimeZone(identifier: "America/New_York"))
        )
        #expect(cron.next(after: try Self.date("2026-01-01T00:00:00Z"), in: zone) == nil)
        // Until 2006 the clock was changed on another Sunday.
        let last = cron.previous(before: try Self.date("2026-01-01T00:00:00Z"), in: zone)
        #expect(last == (try Self.date("2006-03-12T07:30:00Z")))
    }

    /// Between two neighbouring fires there is none: forwards and backwards give the same row of instants.
    @Test(arguments: SeededGenerator.seeds())
    func previousUndoesNext(seed: UInt64) throws {
        var generator = OracleCases(seed: seed)
        for question in generator.make(35, inEveryZone: false) {
            guard let cron = try? CronExpression(question.expression) else { continue }
            let zone = try #require(TimeZone(identifier: question.zone))
            let start = Date(timeIntervalSince1970: Double(question.start))
            guard let first = cron.next(after: start, in: zone), let second = cron.next(after: first, in: zone) else {
                continue
            }
            let said: Comment = "\(question.line.dropLast()), seed \(seed)"
            #expect(first > start && second > first, said)
            #expect(cron.previous(before: second, in: zone) == first, said)
            #expect(cron.previous(before: first.addingTimeInterval(0.5), in: zone) == first, said)
            if let before = cron.previous(before: first, in: zone) {
                #expect(before <= start && cron.next(after: before, in: zone) == first, said)
            }
        }
    }
}
