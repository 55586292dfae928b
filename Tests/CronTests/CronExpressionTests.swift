import Cron
import Foundation
import Testing

@Suite struct CronExpressionTests {
    private static func date(_ text: String) throws -> Date { try Date.ISO8601FormatStyle().parse(text) }

    @Test(arguments: [
        ("*/30 * * * *", "UTC", "2026-01-15T10:05:00Z", "2026-01-15T10:30:00Z"),
        ("0 0 L * *", "UTC", "2024-02-01T00:00:00Z", "2024-02-29T00:00:00Z"),
        ("0 9 * * MON#2", "UTC", "2026-11-01T00:00:00Z", "2026-11-09T09:00:00Z"),
        ("0 9 * * 5L", "UTC", "2026-11-01T00:00:00Z", "2026-11-27T09:00:00Z"),
        ("0 0 13 * 5", "UTC", "2026-11-01T00:00:00Z", "2026-11-06T00:00:00Z"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        // Sunday is 0 and 7; a step from a weekday runs to 7, a range of one value is that value whatever the step.
        ("0 9 * * 7", "UTC", "2026-11-02T00:00:00Z", "2026-11-08T09:00:00Z"),
        ("0 9 * * 1/3", "UTC", "2026-11-06T00:00:00Z", "2026-11-08T09:00:00Z"),
        ("0 9-9/5 * * *", "UTC", "2026-11-02T10:00:00Z", "2026-11-03T09:00:00Z"),
        // A list of all the days is no star: either day is enough.
        ("0 9 13 * 0-6", "UTC", "2026-11-02T10:00:00Z", "2026-11-03T09:00:00Z"),
        ("0 9 13 * */1", "UTC", "2026-11-02T10:00:00Z", "2026-11-13T09:00:00Z"),
        // 29 February on a Monday, over the year 2100 without one.
        ("0 0 * 2 MON#5", "UTC", "2072-03-01T00:00:00Z", "2112-02-29T00:00:00Z"),
        // The gap: 02:30 does not come on 2026-03-29 in Paris; a job at a fixed time fires at once after it.
        ("30 2 * * *", "Europe/Paris", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
        ("*/30 2 * * *", "Europe/Paris", "2026-03-28T12:00:00Z", "2026-03-30T00:00:00Z"),
        // The repeated hour: 02:30 comes twice on 2026-10-25; a job at a fixed time fires the first time only.
        ("30 2 * * *", "Europe/Paris", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ("*/30 * * * *", "Europe/Paris", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"),
    ])
    func nextFire(expression: String, zone: String, after: String, next: String) throws {
        let zone = try #require(TimeZone(identifier: zone))
        let found = try CronExpression(expression).next(after: Self.date(after), in: zone)
        #expect(found == (try Self.date(next)), "\(expression)")
    }

    @Test(arguments: [
        ("", "expression"), ("* * * *", "expression"), ("* * * * * *", "expression"), ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"), ("* * 0 * *", "day of month"), ("* * 30 feb *", "day of month"),
        ("* * * 13 *", "month"), ("* * * * 8", "day of week"), ("5-1 * * * *", "minute"), ("*/0 * * * *", "minute"),
        ("@often", "expression"), ("1,,2 * * * *", "minute"), ("x * * * *", "minute"),
        ("*/+5 * * * *", "minute"), ("-5 * * * *", "minute"), ("5- * * * *", "minute"), ("\u{0665} * * * *", "minute"),
        ("* 5/0 * * *", "hour"), ("* * L-3 * *", "day of month"), ("* * * janu *", "month"),
        ("* * * * L", "day of week"),
        ("* * * * mon#6", "day of week"), ("* * * * mon#+2", "day of week"), ("* * * * fri-mon", "day of week"),
        ("* * 31 2,4,6,9,11 *", "day of month"), ("* * */31 2 */7", nil), ("* * 30 2 */7", "day of month"),
        ("* * 30 2 5", nil), ("* * */3 2 5#5", "day of week"), ("* * */2 2 5#5", nil), ("@reboot", "expression"),
        ("* * * * * * *", "expression"), ("*\n* * * *", "expression"),
    ])
    func refusesNamingTheField(text: String, field: String?) {
        do {
            _ = try CronExpression(text)
            #expect(field == nil, "\(text) is not refused")
        } catch {
            #expect(error.field == field, "\(text): \(error)")
        }
    }

    @Test func previousIsTheLastBefore() throws {
        let zone = try #require(TimeZone(identifier: "UTC"))
        let found = try CronExpression("15 3 * * *").previous(before: Self.date("2026-01-15T02:00:00Z"), in: zone)
        #expect(found == (try Self.date("2026-01-14T03:15:00Z")))
    }
}
