package import ConfigFile

/// How far behind the cursor a run looks for rows that became visible since.
package enum Lookback: Sendable, Equatable {
    /// For cursors that are times.
    case seconds(Int)
    /// For cursors that are numbers.
    case count(Int64)
    /// The whole table is looked through for what is new, whatever its cursor says.
    case everything
    /// Nothing behind the cursor is read. No definition can say so: it is what tests compare with.
    case off
}

/// What happens to a row that cannot be exported.
package enum BadRowPolicy: String, Sendable, CaseIterable { case stop, quarantine }

/// What happens to a new column of the source under `columns: '*'`.
package enum DriftPolicy: String, Sendable, CaseIterable { case report, add }

/// What happens to rows of the target that the source has no more.
package enum DeletePolicy: Sendable, Equatable {
    case ignore
    case mark(column: String)
    case delete
}

/// One table export as its file states it; nothing in it was compared with a database yet.
package struct ExportDefinition: Sendable, Equatable {
    package struct Source: Sendable, Equatable {
        package let schema: String
        package let table: Placed
        package let cursor: Placed
        package let idField: Placed?
        /// nil for `*`.
        package let columns: [Placed]?
    }

    package struct Destination: Sendable, Equatable {
        package let schema: String
        package let table: Placed
        package let conflictColumns: [Placed]
    }

    package struct Derived: Sendable, Equatable {
        package let column: Placed
        package let sql: String
    }

    package struct Transform: Sendable, Equatable {
        /// Source column → target column.
        package var rename: [String: Placed] = [:]
        /// Target columns that an SQL expression of the source server gives.
        package var columns: [Derived] = []
        /// Target column → SQL type that its value is cast to on the source server.
        package var casts: [String: Placed] = [:]
        /// Rows for which this SQL condition is true are left out.
        package var skip: Placed?
        /// The name of a transform that is written in Swift.
        package var swift: Placed?
        package init() {}
    }

    package let key: String
    package let place: FilePlace
    package let batchSize: Int?
    package let source: Source
    package let destination: Destination
    package let transform: Transform
    package let onError: BadRowPolicy
    /// nil for the default of the cursor's type.
    package let lookback: Lookback?
    package let lookbackPlace: FilePlace
    package let drift: DriftPolicy
    package let deletes: DeletePolicy
    package let deletesEverySeconds: Int
    package let deletesPercentMax: Int
    /// Five cron fields; nil for an export that only runs when asked.
    package let schedule: Placed?

    package static let batchRange = 1...100_000
    package static let batchDefault = 10_000
}
