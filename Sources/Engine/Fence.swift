import Postgres
import Runtime

/// The fencing token of a job in a target: a writer with a lower one cannot commit.
enum Fence {
    /// How a job's writing sessions are called while they write, so that a successor finds those of a frozen process.
    static func sessionTag(_ job: JobName) -> String { String("tallyman writes \(job)".prefix(63)) }

    /// Raises the fence in a target and ends what a predecessor still has open there.
    ///
    /// A predecessor frozen between its fence statement and COMMIT holds the row: its session is ended, which rolls it
    /// back. Waits at most ten seconds for the row. Throws `.leaseLost` when the target knows a newer fence.
    static func raise(_ job: JobName, to fence: Int64, in target: PGPool) async throws {
        try await target.withConnection { connection in
            _ = try await connection.query(
                """
                SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                WHERE application_name = $1 AND datname = current_database() AND usename = current_user
                    AND pid <> pg_backend_pid()
                """,
                [.text(sessionTag(job))]
            )
            let raised = try await connection.withTransaction { connection in
                try await connection.execute("SET LOCAL lock_timeout = '10s'")
                return try await connection.query(
                    """
                    INSERT INTO etl.fences (job, fence) VALUES ($1, $2)
                    ON CONFLICT (job) DO UPDATE SET fence = excluded.fence, touched_at = clock_timestamp()
                        WHERE etl.fences.fence < excluded.fence
                    """,
                    [.text(job.rawValue), .int(fence)]
                ).affectedRows
            }
            guard raised == 1 else {
                throw TallyError(
                    .leaseLost,
                    during: "fence.raise",
                    "the target knows a newer fence for \(job)",
                    remedy: "The state database may have been restored from a backup; see docs/operations.md."
                )
            }
        }
    }

    /// The first statement of a writing transaction: holds the fence's row until COMMIT and names the session.
    ///
    /// Throws `.leaseLost` when another run has taken over.
    static func hold(_ job: JobName, _ fence: Int64, durable: Bool, on connection: PGConnection) async throws {
        let held = try await connection.query(
            """
            UPDATE etl.fences SET touched_at = clock_timestamp() WHERE job = $1 AND fence = $2
            RETURNING set_config('application_name', $3::text, true),
                set_config('synchronous_commit', CASE WHEN $4 THEN current_setting('synchronous_commit') ELSE 'off' END,
                    true)
            """,
            [.text(job.rawValue), .int(fence), .text(sessionTag(job)), .bool(durable)]
        )
        guard held.affectedRows == 1 else {
            throw TallyError(.leaseLost, during: "run.write", "another run of \(job) has taken over")
        }
    }
}
