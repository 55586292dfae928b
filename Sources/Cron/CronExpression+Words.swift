extension CronExpression {
    /// The expression as a person says it: the time first, then the days, then the months.
    package var words: String {
        var phrases = [time]
        if let days { phrases.append(days) }
        if !month.coversAll {
            phrases.append("\(month.isOneRange ? "from" : "in") \(month.list(Self.month))")
        }
        return phrases.joined(separator: " ")
    }

    // MARK: Time

    private var time: String {
        if let clockTimes { return "at \(CronField.join(clockTimes))" }
        if let minutes = everyMinutes { return hour.coversAll ? minutes : "\(minutes) \(hoursWithMinutes)" }
        if minute.values == 1 {
            if hour.coversAll { return "every hour" }
            if let step = hour.evenStep { return "every \(step) hours" }
            if let ends = hour.ends {
                return "every hour from \(Self.padded(ends.first)):00 to \(Self.padded(ends.last)):00"
            }
        }
        let minutes = "at minute\(minute.isSeveral ? "s" : "") \(minute.list { "\($0)" })"
        return "\(minutes) of \(hour.coversAll ? "every hour" : hours)"
    }

    /// `02:30`, `02:30 and 14:30`, where the times are named and few.
    private var clockTimes: [String]? {
        let few = minute.values.nonzeroBitCount * hour.values.nonzeroBitCount <= 6
        guard isFixedTime, few else { return nil }
        return hour.sorted.flatMap { hour in minute.sorted.map { "\(Self.padded(hour)):\(Self.padded($0))" } }
    }

    private var everyMinutes: String? {
        minute.coversAll ? "every minute" : minute.evenStep.map { "every \($0) minutes" }
    }

    private var hours: String {
        if let step = hour.evenStep { return "every \(Self.ordinal(step)) hour from 00" }
        return "hour\(hour.isSeveral ? "s" : "") \(hour.list(Self.padded))"
    }

    private var hoursWithMinutes: String {
        guard let ends = hour.ends else { return "of \(hours)" }
        return "from \(Self.padded(ends.first)):00 to \(Self.padded(ends.last)):59"
    }

    // MARK: Days

    private var days: String? {
        let everyDay = clockTimes == nil ? nil : "every day"
        switch (dayOfMonth.coversAll, dayOfWeek.coversAll) {
        case (true, true): return everyDay
        // A field that leaves no day out and does not begin with a star makes the other one moot: either is enough.
        case (false, true): return dayOfWeek.beginsWithStar ? "on \(monthDays)" : everyDay
        case (true, false):
            return dayOfMonth.beginsWithStar ? "\(weekDaysPreposition) \(weekDays(joinedBy: "and"))" : everyDay
        case (false, false):
            let both = dayOfMonth.beginsWithStar || dayOfWeek.beginsWithStar
            if both { return "on \(monthDays) if that is \(weekDays(joinedBy: "or"))" }
            return "on \(monthDays) or \(weekDaysPreposition) \(weekDays(joinedBy: "and"))"
        }
    }

    private var monthDays: String {
        if let step = dayOfMonth.longStep { return "every \(Self.ordinal(step)) day of the month from the 1st" }
        var phrases: [String] = []
        if dayOfMonth.values != 0 {
            phrases.append("day\(dayOfMonth.isSeveral ? "s" : "") \(dayOfMonth.list { "\($0)" })")
        }
        if dayOfMonth.parts.contains(.lastDay) { phrases.append("the last day") }
        return "\(CronField.join(phrases)) of the month"
    }

    private func weekDays(joinedBy word: String) -> String {
        let named = dayOfWeek.phrases(Self.weekday)
        let special = dayOfWeek.parts.compactMap { part -> String? in
            switch part {
            case .lastWeekday(let day): "the last \(Self.weekday(day)) of the month"
            case .nthWeekday(let day, let nth): "the \(Self.ordinal(nth)) \(Self.weekday(day)) of the month"
            case .every, .value, .range, .lastDay: nil
            }
        }
        return CronField.join(named + special, word)
    }

    private var weekDaysPreposition: String { dayOfWeek.isOneRange ? "from" : "on" }

    // MARK: Names

    private static func padded(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    private static func ordinal(_ number: Int) -> String {
        switch (number % 10, number % 100) {
        case (1, let rest) where rest != 11: "\(number)st"
        case (2, let rest) where rest != 12: "\(number)nd"
        case (3, let rest) where rest != 13: "\(number)rd"
        default: "\(number)th"
        }
    }

    private static func weekday(_ number: Int) -> String {
        ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"][number % 7]
    }

    private static func month(_ number: Int) -> String {
        [
            "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
            "November", "December",
        ][number - 1]
    }
}
