package import Foundation
package import Postgres
import Runtime

/// The parameters that every query takes, in the order of their numbers.
///
/// $1 and $2: begin and end of the day, half open. $3: the day. $4 and $5: begin of the 7 and of the 30 days that end
/// with it. $6 and $7: begin and end of the day CHURN_DAYS before. $8: Monday 26 weeks before the day's own. $9: the
/// zone. $10: which optional columns the source has.
package struct WindowParameters: Sendable {
    /// The parameters' types as SQL names them.
    package static let types = [
        "timestamptz", "timestamptz", "text", "timestamptz", "timestamptz", "timestamptz", "timestamptz",
        "timestamptz", "text", "text[]",
    ]
    static let cohortWeeks = 26

    package let values: [PGValue]

    package init(_ day: CalendarDay, zone: TimeZone, churnDays: Int, present: [String]) {
        func start(_ offset: Int) -> PGValue { .timestamp(day.advanced(by: offset).start(in: zone)) }
        values = [
            start(0), start(1), .text("\(day)"), start(-6), start(-29), start(-churnDays), start(1 - churnDays),
            .timestamp(day.monday.advanced(by: -7 * Self.cohortWeeks).start(in: zone)), .text(zone.name),
            .textArray(present),
        ]
    }
}
