import Engine
import Runtime

/// Where the two schemas differ, as a report shows it: a ceiling on what is listed, none on what is counted.
struct DifferenceList: Sendable {
    struct Difference: Sendable {
        let measure: Measure
        let day: CalendarDay
        let key: String
        /// nil when one side lacks the row.
        let column: String?
        let v1: String?
        let v2: String?

        var json: JSONValue {
            [
                "table": .string(measure.table), "day": .string("\(day)"), "key": .string(key),
                "column": column.map { .string($0) } ?? .null, "v1": v1.map { .string($0) } ?? .null,
                "v2": v2.map { .string($0) } ?? .null,
            ]
        }
    }

    var compared: [String] = []
    var off: [(measure: String, reason: String)] = []
    var rowsV1 = 0
    var rowsV2 = 0
    /// Differing cells and rows that were looked at; at least so many where the list is cut.
    var count = 0
    /// Not every differing row was looked at.
    var isCut = false
    private(set) var listed: [Difference] = []

    mutating func add(_ difference: Difference) {
        count += 1
        if listed.count < MigrationReport.listMax { listed.append(difference) } else { isCut = true }
    }

    var details: JSONValue {
        [
            "measuresCompared": .array(compared.map { .string($0) }),
            "measuresOff": .array(off.map { ["measure": .string($0.measure), "reason": .string($0.reason)] }),
            "differences": .array(listed.map(\.json)),
            "truncated": .bool(isCut),
        ]
    }
}
