/// A five-field cron expression with Debian's semantics; `next` and `previous` in any time zone.
package struct CronExpression: Sendable, Hashable {
    /// What was written, with single spaces.
    package let text: String
    let minute: CronField
    let hour: CronField
    let dayOfMonth: CronField
    let month: CronField
    let dayOfWeek: CronField
    let clock: ClockMatches

    private static let aliases = [
        "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
    ]

    /// Throws with the field's name for whatever is not a legal expression, also for dates that never come.
    package init(_ text: String) throws(CronParseError) {
        let trimmed = text.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
        var expanded = trimmed
        if trimmed.hasPrefix("@") {
            guard let alias = Self.aliases[trimmed.lowercased()] else {
                throw CronParseError(field: "expression", reason: "unknown alias \"\(trimmed)\"")
            }
            expanded = alias
        }
        let fields = expanded.split(separator: " ").map(String.init)
        guard fields.count != 6 else {
            throw CronParseError(field: "expression", reason: "six fields: seconds are not supported")
        }
        guard fields.count == 5 else {
            throw CronParseError(field: "expression", reason: "\(fields.count) fields where five are expected")
        }
        self.text = trimmed
        minute = try CronField(fields[0], .init(name: "minute", range: 0...59))
        hour = try CronField(fields[1], .init(name: "hour", range: 0...23))
        dayOfMonth = try CronField(fields[2], .init(name: "day of month", range: 1...31))
        month = try CronField(
            fields[3],
            .init(
                name: "month",
                range: 1...12,
                names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
                firstName: 1
            )
        )
        dayOfWeek = try CronField(
            fields[4],
            .init(name: "day of week", range: 0...7, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"])
        )
        let days = CronDays(dayOfMonth: dayOfMonth, month: month, dayOfWeek: dayOfWeek)
        try days.refuseImpossible()
        clock = ClockMatches(minutes: minute.values, hours: hour.values, days: days)
    }

    /// Neither minute nor hour begins with `*`: the job names a time, which daylight saving must neither skip nor
    /// repeat.
    package var isFixedTime: Bool { !minute.beginsWithStar && !hour.beginsWithStar }
}
