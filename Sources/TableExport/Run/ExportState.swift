import ConfigFile
import Engine
import Postgres
import Runtime

/// What the target remembers about an export beside its position.
struct ExportState: Sendable {
    var watermark: Watermark?
    /// Source columns and their types at the last run; nil before the first.
    var columns: [String: String]?
    /// The last compare of keys is older than the definition allows, or there was none.
    var isDeleteCompareDue: Bool
    /// What the position belongs to; nil where that was not kept.
    var identity: ExportIdentity?
    /// The definition is another than the position's, and the run was told to accept that.
    var isReplaced = false
    /// The position comes from the state of the service replaced.
    var isTakenOver = false
}

extension ExportState {
    static func read(
        _ plan: ExportDefinition,
        key: WatermarkKey,
        on connection: PGConnection
    ) async throws -> ExportState {
        let row = try await connection.query(
            """
            SELECT array_to_string(column_names, chr(31)), array_to_string(column_types, chr(31)),
                   coalesce(compared_at < clock_timestamp() - make_interval(secs => $2::float8), true)
            FROM etl.table_exports WHERE key = $1
            """,
            [.text(plan.key), .double(Double(plan.deletesEverySeconds))]
        ).rows.first
        var columns: [String: String]?
        if let row {
            let names = try row[0].string().split(separator: "\u{1F}").map(String.init)
            let types = try row[1].string().split(separator: "\u{1F}").map(String.init)
            // No run has ended yet where there are none.
            if !names.isEmpty { columns = Dictionary(zip(names, types), uniquingKeysWith: { first, _ in first }) }
        }
        return ExportState(
            watermark: try await Watermarks.read(key, on: connection),
            columns: columns,
            isDeleteCompareDue: try row?[2].bool() ?? true,
            identity: try await ExportIdentity.read(plan.key, on: connection)
        )
    }

    /// Remembers the columns, and that keys were compared when they were.
    static func write(_ plan: ExportPlan, compared: Bool, on connection: PGConnection) async throws {
        let columns = plan.signature.sorted { $0.key < $1.key }
        _ = try await connection.query(
            """
            INSERT INTO etl.table_exports AS e (key, column_names, column_types, compared_at)
            VALUES ($1, $2, $3, CASE WHEN $4 THEN clock_timestamp() END)
            ON CONFLICT (key) DO UPDATE SET column_names = excluded.column_names,
                column_types = excluded.column_types, compared_at = coalesce(excluded.compared_at, e.compared_at)
            WHERE $4 OR (e.column_names, e.column_types) IS DISTINCT FROM (excluded.column_names, excluded.column_types)
            """,
            [
                .text(plan.definition.key), .textArray(columns.map(\.key)), .textArray(columns.map(\.value)),
                .bool(compared),
            ]
        )
    }

    /// The position that the service replaced had reached, one second back; nil where it left none.
    ///
    /// It cut times to milliseconds and wrote them in its process's zone, so a position ahead of all rows it wrote is
    /// taken back to the newest of them.
    static func takeOver(_ plan: ExportPlan, on connection: PGConnection) async throws -> Watermark? {
        guard plan.cursorType.isTime else { return nil }
        let exists = try await connection.query("SELECT to_regclass('analytics_raw.pg_export_state') IS NOT NULL")
        guard try exists.rows.first?[0].bool() == true else { return nil }
        let newest = plan.columns.first { $0.sql == plan.cursor.sql }.map {
            "(SELECT max(\(PGIdentifier.quote($0.target))) FROM \(plan.targetSQL))::timestamp"
        }
        // An empty table was not filled by that service, whatever its state says: all is read.
        let reached = newest.map { "CASE WHEN \($0) IS NOT NULL THEN least(cursor_value, \($0)) END" } ?? "cursor_value"
        let row = try await connection.withTransaction(readOnly: true) { connection in
            try await connection.execute(SourceSnapshot.textSettings)
            return try await connection.query(
                """
                SELECT \(reached) - interval '1 second' FROM analytics_raw.pg_export_state
                WHERE key = $1 AND cursor_value IS NOT NULL
                """,
                [.text(plan.definition.key)]
            ).rows.first
        }
        guard let row, !row[0].isNull else { return nil }
        return Watermark(instant: try row[0].date())
    }
}
