import Cron
import Testing

@testable import Tallyman

@Suite struct CronSettingTests {
    /// The name of the variable and of the field at fault; never what stands in it.
    @Test(arguments: [
        ("*/30 61-secret * * *", "its hour is not valid"), ("0 0 0-secret * *", "its day of month is not valid"),
        ("0 0 31 2 *", "its day of month is not valid"), ("0 0 * * nosecret", "its day of week is not valid"),
        ("61 * * * *", "its minute is not valid"), ("0 0 1 13 *", "its month is not valid"),
    ])
    func aRefusedExpressionNamesItsField(text: String, reason: String) {
        var reader = SettingsReader { $0 == "SYNC_CRON_SCHEDULE" ? text : nil }
        #expect(reader.cron(.syncCronSchedule, default: "* * * * *") == nil)
        #expect(reader.problems.map(\.name) == ["SYNC_CRON_SCHEDULE"])
        #expect(reader.problems.first?.reason.hasSuffix(reason) == true)
        #expect(reader.problems.first?.reason.contains("secret") == false)
    }

    @Test(arguments: ["secret", "* * * *", "@secretly"])
    func whatIsNoExpressionAtAllIsToldWhole(text: String) {
        var reader = SettingsReader { _ in text }
        #expect(reader.cron(.syncCronSchedule, default: "* * * * *") == nil)
        #expect(
            reader.problems.map(\.reason) == ["must be a cron expression of five fields, such as */30 * * * *"]
        )
    }

    @Test func theDefaultIsRead() {
        var reader = SettingsReader { _ in nil }
        #expect(reader.cron(.syncCronSchedule, default: "*/30 * * * *")?.text == "*/30 * * * *")
        #expect(reader.problems.isEmpty)
    }
}
