import Foundation
import Postgres
import Runtime

/// A file that silver has to read.
struct BronzeFileEntry: Sendable {
    let id: Int64
    let entity: BronzeEntity
    let path: String
    let records: Int
    let sha256: [UInt8]
}

/// `meta.bronze_files`: every whole file there is, and which of them are in silver.
enum BronzeManifest {
    /// Adds files in their order, inside the caller's transaction.
    static func add(_ files: [BronzeFileFacts], batch: UUID, adopted: Bool, in connection: PGConnection) async throws {
        for file in files {
            let added = try await connection.query(
                """
                INSERT INTO meta.bronze_files
                    (entity, path, day, records, bytes, sha256, first_id, last_id, batch_id, adopted)
                VALUES ($1, $2, $3::text::date, $4, $5, $6, $7, $8, $9, $10)
                """,
                [
                    .text(file.entity.rawValue), .text(file.path), .text(file.day), .int(Int64(file.records)),
                    .int(Int64(file.bytes)), .bytea(file.sha256), file.firstID.map { .text($0) } ?? .null,
                    file.lastID.map { .text($0) } ?? .null, .uuid(batch), .bool(adopted),
                ]
            )
            guard added.affectedRows == 1 else {
                throw TallyError(.proofFailed, during: "retail.bronze", "a file's line in the manifest was not written")
            }
        }
    }

    /// Paths of all files, removed ones too.
    static func paths(on connection: PGConnection) async throws -> Set<String> {
        Set(try await connection.query("SELECT path FROM meta.bronze_files").rows.map { try $0[0].string() })
    }

    /// When a file was begun, as its name tells: `yyyymmdd_hhmmss`.
    private static let stamp = "left(regexp_replace(path, '^.*/', ''), 15)"

    /// Files that are not in silver, and those of `again` in any case; or, when a day is given, all that are kept from
    /// that day on. In the order of their stamps, so that what was read last comes last.
    static func toLoad(
        fromDay day: String?,
        again: [String] = [],
        on connection: PGConnection
    ) async throws -> [BronzeFileEntry] {
        try await connection.query(
            """
            SELECT id, entity, path, records, sha256 FROM meta.bronze_files
            WHERE removed_at IS NULL
                AND CASE WHEN $1::text IS NULL THEN loaded_at IS NULL OR path = ANY ($2::text[])
                    ELSE day >= $1::text::date END
            ORDER BY \(stamp), id
            """,
            [day.map { .text($0) } ?? .null, .textArray(again)]
        ).rows.map(entry)
    }

    /// Files of the same entity that are in silver and were begun later; and whether some of them are gone by now.
    static func newer(
        than file: BronzeFileEntry,
        on connection: PGConnection
    ) async throws -> (kept: [BronzeFileEntry], someAreGone: Bool) {
        let rows = try await connection.query(
            """
            SELECT id, entity, path, records, sha256, removed_at IS NOT NULL FROM meta.bronze_files
            WHERE loaded_at IS NOT NULL AND entity = $1 AND id <> $3
                AND \(stamp) > left(regexp_replace($2::text, '^.*/', ''), 15)
            ORDER BY \(stamp), id
            """,
            [.text(file.entity.rawValue), .text(file.path), .int(file.id)]
        ).rows
        let gone = try rows.filter { try $0[5].bool() }.count
        return (try rows.filter { try !$0[5].bool() }.map(entry), gone > 0)
    }

    private static func entry(_ row: PGRow) throws -> BronzeFileEntry {
        guard let entity = BronzeEntity(rawValue: try row[1].string()) else {
            throw TallyError(.schemaMismatch, during: "retail.silver", "the manifest names an unknown entity")
        }
        return BronzeFileEntry(
            id: try row[0].int64(),
            entity: entity,
            path: try row[2].string(),
            records: try row[3].int(),
            sha256: row[4].bytes ?? []
        )
    }

    /// Notes that a file is in silver, inside the transaction that put it there (INV-1).
    static func markLoaded(_ id: Int64, run: UUID, written: Int, bad: Int, in connection: PGConnection) async throws {
        let marked = try await connection.query(
            """
            UPDATE meta.bronze_files
            SET loaded_at = clock_timestamp(), loaded_by = $2, rows_written = $3, bad_lines = $4
            WHERE id = $1
            """,
            [.int(id), .uuid(run), .int(Int64(written)), .int(Int64(bad))]
        )
        guard marked.affectedRows == 1 else {
            throw TallyError(.proofFailed, during: "retail.silver", "a file's line in the manifest is gone")
        }
    }

    /// Paths of files that were marked as removed within the last thirty days: one that a run marked and did not live
    /// to remove is found by the next, and the work does not grow with the years.
    static func removed(on connection: PGConnection) async throws -> [String] {
        try await connection.query(
            "SELECT path FROM meta.bronze_files WHERE removed_at > clock_timestamp() - interval '30 days'"
        ).rows.map { try $0[0].string() }
    }

    /// Marks loaded files older than so many days as removed; the caller then unlinks them.
    static func expire(days: Int, in connection: PGConnection) async throws {
        _ = try await connection.query(
            """
            UPDATE meta.bronze_files SET removed_at = clock_timestamp()
            WHERE removed_at IS NULL AND loaded_at IS NOT NULL
                AND day < (clock_timestamp() AT TIME ZONE 'UTC')::date - $1::int4
            """,
            [.int(Int64(days))]
        )
    }
}
