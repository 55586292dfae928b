import API
import Engine
import Postgres
import Runtime

/// The routes' view of dead letters, over the table in the target.
struct EngineDeadLetters: DeadLettersPort {
    let target: PGPool

    func list(job: JobName?, limit: Int, before: String?) async throws -> [JSONValue] {
        let result = try await open { connection in
            try await connection.query(
                """
                SELECT id, job, key, kind, reason, array_to_json(columns)::text, occurrences, first_seen_at,
                       last_seen_at, run_id
                FROM etl.dead_letters
                WHERE resolved_at IS NULL AND ($1::text IS NULL OR job = $1) AND ($2::bigint IS NULL OR id < $2)
                ORDER BY id DESC LIMIT $3
                """,
                [
                    job.map { .text($0.rawValue) } ?? .null, before.flatMap { Int64($0) }.map { .int($0) } ?? .null,
                    .int(Int64(limit)),
                ]
            )
        }
        return try result.rows.map { row in
            [
                "id": .string(String(try row[0].int())), "job": .string(try row[1].string()),
                "key": .string(try row[2].string()), "kind": .string(try row[3].string()),
                "reason": .string(try row[4].string()),
                "columns": try JSONText.parse(Array(try row[5].string().utf8)),
                "occurrences": .int(try row[6].int()), "firstSeenAt": .string(Timestamp.text(try row[7].date())),
                "lastSeenAt": .string(Timestamp.text(try row[8].date())),
                "runId": .string(RunID(rawValue: try row[9].uuid()).description),
            ]
        }
    }

    /// Forgets what the refused row looked like, so that the next run takes it for a new one and tries it.
    func retry(id: String?, job: JobName?, by: String) async throws -> Int {
        guard let number = Self.number(id) else { return 0 }
        return try await open { connection in
            try await connection.query(
                """
                UPDATE etl.dead_letters SET fingerprint = NULL
                WHERE resolved_at IS NULL AND ($1::bigint IS NULL OR id = $1) AND ($2::text IS NULL OR job = $2)
                """,
                [number, job.map { .text($0.rawValue) } ?? .null]
            ).affectedRows
        }
    }

    func discard(id: String, by: String) async throws -> Bool {
        guard let number = Self.number(id) else { return false }
        return try await open { connection in
            try await connection.query(
                """
                UPDATE etl.dead_letters SET resolved_at = clock_timestamp(), resolution = 'discarded by ' || $2::text
                WHERE resolved_at IS NULL AND id = $1
                """,
                [number, .text(by)]
            ).affectedRows == 1
        }
    }

    private func open<Result: Sendable>(_ body: (PGConnection) async throws -> Result) async throws -> Result {
        try await prepared { try await target.withConnection(body) }
    }

    /// NULL for no id, nil for what is no id at all.
    private static func number(_ id: String?) -> PGValue? {
        guard let id else { return .null }
        return Int64(id).map { .int($0) }
    }
}
