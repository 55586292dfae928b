import Foundation
import Synchronization

/// IMF-fixdate (RFC 9110 §5.6.7).
enum HTTPDate {
    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// The text of a moment, given as whole seconds since 1970, not negative.
    static func text(secondsSince1970 seconds: Int) -> String {
        let days = seconds / 86_400
        let second = seconds % 86_400
        // Civil date of a day number, with years that begin in March so that the leap day is the last.
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 2 : marchMonth - 10
        let year = yearOfEra + era * 400 + (month < 2 ? 1 : 0)
        let clock = [second / 3_600, second / 60 % 60, second % 60].map(two).joined(separator: ":")
        return "\(weekdays[days % 7]), \(two(day)) \(months[month]) \(year) \(clock) GMT"
    }

    private static let last = Mutex<(second: Int, text: String)>((-1, ""))

    /// The present moment; made anew when the second changes.
    static func now() -> String {
        let second = max(0, Int(Date().timeIntervalSince1970))
        return last.withLock { last in
            if last.second != second { last = (second, text(secondsSince1970: second)) }
            return last.text
        }
    }

    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
