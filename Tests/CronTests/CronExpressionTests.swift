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
    ])
    func refusesNamingTheField(text: String, field: String) {
        let error = #expect(throws: CronParseError.self) { try CronExpression(text) }
        #expect(error?.field == field)
    }

    @Test func previousIsTheLastBefore() throws {
        let zone = try #require(TimeZone(identifier: "UTC"))
        let found = try CronExpression("15 3 * * *").previous(before: Self.date("2026-01-15T02:00:00Z"), in: zone)
        #expect(found == (try Self.date("2026-01-14T03:15:00Z")))
    }

    @Test func wordsSayIt() throws {
        #expect(try CronExpression("*/30 * * * *").words == "every 30 minutes")
        #expect(try CronExpression("@daily").words == "every day at 00:00")
    }
}
