extension CronExpression {
    /// The expression as a person says it; unusual ones field by field.
    package var words: String {
        let everyDay = dayOfMonth.text == "*" && month.text == "*" && dayOfWeek.text == "*"
        if everyDay, hour.text == "*" {
            if minute.text == "*" { return "every minute" }
            if minute.text.hasPrefix("*/") { return "every \(minute.text.dropFirst(2)) minutes" }
            if let single = Int(minute.text) { return single == 0 ? "every hour" : "every hour at minute \(single)" }
        }
        if everyDay, let hours = Int(hour.text), let minutes = Int(minute.text) {
            return "every day at \(hours < 10 ? "0" : "")\(hours):\(minutes < 10 ? "0" : "")\(minutes)"
        }
        return "at minute \(minute.text), hour \(hour.text), day of month \(dayOfMonth.text), month \(month.text), "
            + "day of week \(dayOfWeek.text)"
    }
}
