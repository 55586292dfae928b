import Engine
import Runtime

/// What a run has done so far.
struct AnalyticsTally: Sendable {
    static let listMax = 100

    var extracted = 0
    var loaded = 0
    var days = 0
    var daysResumed = 0
    var changed: [CalendarDay] = []
    var off: [(measure: String, reason: String)] = []

    var counts: [String: Int] {
        [
            "recordsExtracted": extracted, "recordsTransformed": extracted, "recordsLoaded": loaded, "days": days,
            "daysChanged": changed.count, "daysResumed": daysResumed, "measuresOff": off.count, "errors": 0,
        ]
    }

    var details: JSONValue {
        [
            "changedDays": .array(changed.prefix(Self.listMax).map { .string("\($0)") }),
            "measuresOff": .array(
                off.map { ["measure": .string($0.measure), "reason": .string($0.reason)] }
            ),
            "truncated": .bool(changed.count > Self.listMax),
        ]
    }
}
