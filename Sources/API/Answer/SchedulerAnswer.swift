package import Engine
import Foundation
package import Runtime

/// The scheduler's state as JSON.
package enum SchedulerAnswer {
    package static func body(_ status: SchedulerStatus) -> JSONValue {
        [
            // Switched on it runs only while somebody leads it.
            "enabled": .bool(status.enabled), "isRunning": .bool(status.enabled && status.leader != nil),
            "isLeader": .bool(status.isLeader),
            "leader": status.leader.map { .string($0) } ?? .null,
            "changedBy": status.switched.map { .string($0.changedBy) } ?? .null,
            "changedAt": RunAnswer.instant(status.switched?.changedAt),
            "schedules": .array(status.schedules.map(schedule)),
        ]
    }

    package static func schedule(_ status: ScheduleStatus) -> JSONValue {
        let definition = status.definition
        let zone = definition.timeZone.name
        return [
            "job": .string(definition.job.rawValue), "expression": .string(definition.expressionText),
            "words": .string(definition.expressionWords),
            // Foundation on Linux gives UTC the name GMT; operators wrote UTC.
            "timeZone": .string(zone == "GMT" ? "UTC" : zone),
            "enabled": .bool(!status.isPaused), "paused": .bool(status.isPaused),
            "changedBy": status.switched.map { .string($0.changedBy) } ?? .null,
            "changedAt": RunAnswer.instant(status.switched?.changedAt),
            "overlap": .string(definition.overlap.rawValue), "misfire": .string(definition.misfire.rawValue),
            "jitterSeconds": .double(definition.jitter),
            "nextFires": .array(status.nextFires.map { .string(Timestamp.text($0)) }),
            "lastFire": RunAnswer.instant(status.lastFire),
        ]
    }
}
