package import Postgres
import Runtime

/// Remembers for 24 hours which run an `Idempotency-Key` began, over restarts and for all replicas.
///
/// After draft-ietf-httpapi-idempotency-key-header: the same key with another request is refused.
package struct IdempotencyKeys: Sendable {
    package enum Reservation: Sendable, Equatable {
        /// Nobody used the key: the caller begins the run with its id.
        case new
        case known(RunID)
        /// The key belongs to another request.
        case mismatch
    }

    private let state: PGPool

    package init(state: PGPool) { self.state = state }

    /// Claims a key for a run, in one statement: of two callers at once, one is told of the other's run.
    package func reserve(caller: String, key: String, requestHash: [UInt8], run: RunID) async throws -> Reservation {
        try await state.withConnection { connection in
            let row = try await connection.query(
                """
                INSERT INTO etl.idempotency_keys AS k (caller, key, request_hash, run_id) VALUES ($1, $2, $3, $4)
                ON CONFLICT (caller, key) DO UPDATE SET
                    request_hash = CASE WHEN k.created_at < clock_timestamp() - interval '24 hours'
                        THEN excluded.request_hash ELSE k.request_hash END,
                    run_id = CASE WHEN k.created_at < clock_timestamp() - interval '24 hours'
                        THEN excluded.run_id ELSE k.run_id END,
                    created_at = CASE WHEN k.created_at < clock_timestamp() - interval '24 hours'
                        THEN clock_timestamp() ELSE k.created_at END
                RETURNING run_id, request_hash
                """,
                [.text(caller), .text(key), .bytea(requestHash), .uuid(run.rawValue)]
            ).rows[0]
            guard row[1].bytes == requestHash else { return .mismatch }
            let owner = RunID(rawValue: try row[0].uuid())
            return owner == run ? .new : .known(owner)
        }
    }

    /// Gives a key back whose run never began, so that the caller can try again with it.
    package func release(caller: String, key: String, run: RunID) async throws {
        _ = try await state.withConnection { connection in
            try await connection.query(
                "DELETE FROM etl.idempotency_keys WHERE caller = $1 AND key = $2 AND run_id = $3",
                [.text(caller), .text(key), .uuid(run.rawValue)]
            )
        }
    }
}
