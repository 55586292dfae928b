package import Foundation
package import Postgres
import Runtime

/// Whose position a watermark is: a table of a source, of one account, within one scope.
package struct WatermarkKey: Hashable, Sendable {
    package let source: String
    package let table: String
    package let accountID: String
    /// Shop, marketplace or window; empty where there is only one.
    package let scope: String

    package init(source: String, table: String, accountID: String, scope: String = "") {
        self.source = source
        self.table = table
        self.accountID = accountID
        self.scope = scope
    }
}

/// How far a source has been read: a pair of value and id, compared as a row, and the snapshot it was read under.
///
/// A source ordered by time uses `instant` (microseconds, UTC); any other puts the typed value's text into `value`.
package struct Watermark: Sendable, Equatable {
    package var instant: Date?
    package var value: String?
    package var id: String?
    package var snapshot: String?

    package init(instant: Date? = nil, value: String? = nil, id: String? = nil, snapshot: String? = nil) {
        self.instant = instant
        self.value = value
        self.id = id
        self.snapshot = snapshot
    }
}

/// One row of `etl.watermarks`.
package struct StoredWatermark: Sendable {
    package let key: WatermarkKey
    package let watermark: Watermark
    package let updatedAt: Date
}

/// Positions in `etl.watermarks` of a target (INV-1, INV-2).
package enum Watermarks {
    /// The position, or nil before the first run and after an operator deleted it.
    package static func read(_ key: WatermarkKey, on connection: PGConnection) async throws -> Watermark? {
        try await connection.query(
            "SELECT cursor_ts, cursor_value, cursor_id, snapshot FROM etl.watermarks "
                + "WHERE source = $1 AND \"table\" = $2 AND account_id = $3 AND scope = $4",
            bound(key)
        ).rows.first.map { try watermark($0, from: 0) }
    }

    /// Moves a position on, inside the transaction that writes its rows (INV-1).
    ///
    /// `previous` is what the run read at its start: when the stored position is no longer that, an operator moved it
    /// meanwhile, and the run's advance must not undo that. Throws `.leaseLost` then, and `.changeImplausible` when
    /// `next` has an instant that lies before the stored one (INV-2).
    package static func advance(
        _ key: WatermarkKey,
        from previous: Watermark?,
        to next: Watermark,
        in connection: PGConnection
    ) async throws {
        if let old = previous?.instant, let new = next.instant, new < old {
            throw TallyError(
                .changeImplausible,
                during: "watermark.advance",
                "the position of \(key.source) \(key.table) would go back",
                remedy: "Only an operator moves a watermark back: `tallyman watermarks set`."
            )
        }
        let values = bound(key) + bound(next)
        let moved: Int
        if let previous {
            moved = try await connection.query(
                """
                UPDATE etl.watermarks SET cursor_ts = $5, cursor_value = $6, cursor_id = $7, snapshot = $8,
                    updated_at = clock_timestamp()
                WHERE source = $1 AND "table" = $2 AND account_id = $3 AND scope = $4
                    AND cursor_ts IS NOT DISTINCT FROM $9::timestamptz AND cursor_value IS NOT DISTINCT FROM $10::text
                    AND cursor_id IS NOT DISTINCT FROM $11::text
                """,
                values + bound(previous).prefix(3)
            ).affectedRows
        } else {
            moved = try await connection.query(
                """
                INSERT INTO etl.watermarks (source, "table", account_id, scope, cursor_ts, cursor_value, cursor_id,
                    snapshot)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
                """,
                values
            ).affectedRows
        }
        guard moved == 1 else {
            throw TallyError(
                .leaseLost,
                during: "watermark.advance",
                "the position of \(key.source) \(key.table) was moved by somebody else during the run",
                remedy: "Nothing is lost: the next run begins at the new position."
            )
        }
    }

    /// Puts a position where an operator wants it, also back.
    package static func set(_ key: WatermarkKey, to next: Watermark, on connection: PGConnection) async throws {
        _ = try await connection.query(
            """
            INSERT INTO etl.watermarks
                (source, "table", account_id, scope, cursor_ts, cursor_value, cursor_id, snapshot)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            ON CONFLICT (source, "table", account_id, scope) DO UPDATE SET cursor_ts = excluded.cursor_ts,
                cursor_value = excluded.cursor_value, cursor_id = excluded.cursor_id, snapshot = excluded.snapshot,
                updated_at = clock_timestamp()
            """,
            bound(key) + bound(next)
        )
    }

    /// Forgets a position, so that the next run reads all; false when there is none.
    package static func delete(_ key: WatermarkKey, on connection: PGConnection) async throws -> Bool {
        try await connection.query(
            "DELETE FROM etl.watermarks WHERE source = $1 AND \"table\" = $2 AND account_id = $3 AND scope = $4",
            bound(key)
        ).affectedRows == 1
    }

    /// More are never listed of one database.
    package static let listMax = 10_000

    /// Positions in the order of their keys, scopes from the last; of each table and account at most `scopes`, in all
    /// at most `listMax`. The second value says whether there are more.
    package static func list(
        source: String? = nil,
        scopes: Int = listMax,
        on connection: PGConnection
    ) async throws -> ([StoredWatermark], isCut: Bool) {
        let rows = try await connection.query(
            """
            SELECT source, "table", account_id, scope, updated_at, cursor_ts, cursor_value, cursor_id, snapshot, held
            FROM (
                SELECT *, row_number() OVER keys AS place,
                    count(*) OVER (PARTITION BY source, "table", account_id) AS held
                FROM etl.watermarks WHERE $1::text IS NULL OR source = $1
                WINDOW keys AS (PARTITION BY source, "table", account_id ORDER BY scope DESC)
            ) AS marks
            WHERE place <= $2 ORDER BY source, "table", account_id, scope DESC LIMIT $3
            """,
            [source.map { .text($0) } ?? .null, .int(Int64(scopes)), .int(Int64(listMax + 1))]
        ).rows
        let isCut = try rows.count > listMax || rows.contains { try $0[9].int() > scopes }
        return (try rows.prefix(listMax).map(stored), isCut)
    }

    /// The scopes of the key's source, table and account from its own scope through `last`, in the order of their
    /// bytes; at most `limit`.
    package static func scopes(
        from key: WatermarkKey,
        through last: String,
        limit: Int,
        on connection: PGConnection
    ) async throws -> [String] {
        try await connection.query(
            """
            SELECT scope FROM etl.watermarks WHERE source = $1 AND "table" = $2 AND account_id = $3
                AND scope COLLATE "C" BETWEEN $4 AND $5 ORDER BY scope COLLATE "C" LIMIT $6
            """,
            bound(key) + [.text(last), .int(Int64(limit))]
        ).rows.map { try $0[0].string() }
    }

    /// One position with when it was last written; nil when there is none.
    package static func find(_ key: WatermarkKey, on connection: PGConnection) async throws -> StoredWatermark? {
        try await connection.query(
            """
            SELECT source, "table", account_id, scope, updated_at, cursor_ts, cursor_value, cursor_id, snapshot
            FROM etl.watermarks WHERE source = $1 AND "table" = $2 AND account_id = $3 AND scope = $4
            """,
            bound(key)
        ).rows.first.map(stored)
    }

    private static func stored(_ row: PGRow) throws -> StoredWatermark {
        StoredWatermark(
            key: WatermarkKey(
                source: try row[0].string(),
                table: try row[1].string(),
                accountID: try row[2].string(),
                scope: try row[3].string()
            ),
            watermark: try watermark(row, from: 5),
            updatedAt: try row[4].date()
        )
    }

    private static func watermark(_ row: PGRow, from index: Int) throws -> Watermark {
        Watermark(
            instant: row[index].isNull ? nil : try row[index].date(),
            value: row[index + 1].isNull ? nil : try row[index + 1].string(),
            id: row[index + 2].isNull ? nil : try row[index + 2].string(),
            snapshot: row[index + 3].isNull ? nil : try row[index + 3].string()
        )
    }

    private static func bound(_ key: WatermarkKey) -> [PGValue] {
        [.text(key.source), .text(key.table), .text(key.accountID), .text(key.scope)]
    }

    private static func bound(_ watermark: Watermark) -> [PGValue] {
        [
            watermark.instant.map { .timestamp($0) } ?? .null, watermark.value.map { .text($0) } ?? .null,
            watermark.id.map { .text($0) } ?? .null, watermark.snapshot.map { .text($0) } ?? .null,
        ]
    }
}
