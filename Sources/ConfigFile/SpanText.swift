/// A span of time as settings files write it: `90s`, `15m`, `15 min`, `2h`, `1d`; a bare number is refused.
package enum SpanText {
    /// The span in whole seconds, at most ten years; nil for what is no span.
    package static func seconds(_ text: String) -> Int? {
        let parts = text.filter { $0 != " " }
        let digits = parts.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int(digits), number >= 0 else { return nil }
        let unit: Int
        switch parts.dropFirst(digits.count) {
        case "s", "sec", "seconds": unit = 1
        case "m", "min", "minutes": unit = 60
        case "h", "hours": unit = 3_600
        case "d", "days": unit = 86_400
        default: return nil
        }
        let (seconds, overflow) = number.multipliedReportingOverflow(by: unit)
        return overflow || seconds > 3_660 * 86_400 ? nil : seconds
    }
}
