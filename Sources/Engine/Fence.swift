import Postgres
import Runtime

/// The fencing token of a job in a target: a writer with a lower one cannot commit.
enum Fence {
    /// How a job's writing sessions are called while they write, so that a successor finds those of a frozen process.
    static func sessionTag(_ job: JobName) -> String { String("tallyman writes \(job)".prefix(63)) }

    /// How often the predecessor's sessions are ended before a raise gives up the row.
    private static let roundsMax = 10

    /// Raises the fence in a target and ends what a predecessor still has open there.
    ///
    /// A predecessor frozen between its fence statement and COMMIT holds the row: its session is ended, which rolls it
    /// back. Those of one that is awake may hold the row together (`holdShared`) and let each other in while somebody
    /// waits for it, so nobody waits for long: after a second they are ended anew. Gives up after `roundsMax` of them.
    /// Doing it again is harmless: a lease's fence is its own. Throws `.leaseLost` when the target knows a newer fence.
    ///
    /// Raising the fence of a whole job shuts out its parts too. A part's is raised only while its whole still has the
    /// fence it had when the part began.
    static func raise(_ job: JobName, to fence: Int64, partOf whole: PartOf? = nil, in target: PGPool) async throws {
        try await target.withConnection { connection in
            for round in 1...roundsMax {
                try await endSessions(of: job, connection)
                do {
                    return try await raise(job, to: fence, partOf: whole, on: connection)
                } catch let error as TallyError where error.serverError?.sqlState == "55P03" && round < roundsMax {
                    continue
                }
            }
        }
    }

    private static func endSessions(of job: JobName, _ connection: PGConnection) async throws {
        _ = try await connection.query(
            """
            SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
            WHERE (application_name = $1 OR starts_with(application_name, $1 || $2))
                AND datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
            """,
            [.text(sessionTag(job)), .text(JobName.partMark)]
        )
    }

    private static func raise(
        _ job: JobName,
        to fence: Int64,
        partOf whole: PartOf?,
        on connection: PGConnection
    ) async throws {
        let raised = try await connection.withTransaction { connection in
            try await connection.execute("SET LOCAL lock_timeout = '1s'")
            if let whole, let wholeFence = whole.fence {
                let isValid = try await connection.query(
                    "SELECT 1 FROM etl.fences WHERE job = $1 AND fence = $2 FOR SHARE",
                    [.text(whole.job.rawValue), .int(wholeFence)]
                )
                guard isValid.rows.count == 1 else { throw takenOver(whole.job, during: "fence.raise") }
            }
            return try await connection.query(
                """
                INSERT INTO etl.fences (job, fence) VALUES ($1, $2)
                ON CONFLICT (job) DO UPDATE SET fence = excluded.fence, touched_at = clock_timestamp()
                    WHERE etl.fences.fence <= excluded.fence
                """,
                [.text(job.rawValue), .int(fence)]
            ).affectedRows
        }
        guard raised == 1 else {
            throw TallyError(
                .leaseLost,
                during: "fence.raise",
                "the target knows a newer fence for \(job)",
                remedy: "If the state database is new or was restored from a backup, see docs/reliability.md, "
                    + "\"A new or restored state database\"."
            )
        }
    }

    /// The first statement of a writing transaction: holds the fence's row until COMMIT and names the session.
    ///
    /// Throws `.leaseLost` when another run has taken over.
    /// A part holds its whole's row beside its own, shared with the other parts.
    static func hold(
        _ job: JobName,
        _ fence: Int64,
        partOf whole: PartOf? = nil,
        durable: Bool,
        on connection: PGConnection
    ) async throws {
        var values = values(job, fence, durable: durable)
        var wholeSQL = ""
        var condition = ""
        if let whole, let wholeFence = whole.fence {
            wholeSQL =
                "WITH whole AS MATERIALIZED "
                + "(SELECT 1 FROM etl.fences WHERE job = $5 AND fence = $6 FOR SHARE) "
            condition = " AND EXISTS (SELECT FROM whole)"
            values += [.text(whole.job.rawValue), .int(wholeFence)]
        }
        let held = try await connection.query(
            """
            \(wholeSQL)UPDATE etl.fences SET touched_at = clock_timestamp()
            WHERE job = $1 AND fence = $2\(condition)
            RETURNING \(settingsSQL)
            """,
            values
        )
        guard held.affectedRows == 1 else { throw takenOver(job, during: "run.write") }
    }

    /// The same for transactions of one run that may hold the row together; who raises the fence, and every other
    /// writer, waits for all of them.
    static func holdShared(_ job: JobName, _ fence: Int64, durable: Bool, on connection: PGConnection) async throws {
        let held = try await connection.query(
            """
            WITH own AS MATERIALIZED (SELECT 1 FROM etl.fences WHERE job = $1 AND fence = $2 FOR SHARE)
            SELECT \(settingsSQL) FROM own
            """,
            values(job, fence, durable: durable)
        )
        guard held.affectedRows == 1 else { throw takenOver(job, during: "run.write") }
    }

    private static func values(_ job: JobName, _ fence: Int64, durable: Bool) -> [PGValue] {
        [.text(job.rawValue), .int(fence), .text(sessionTag(job)), .bool(durable)]
    }

    private static let settingsSQL = """
        set_config('application_name', $3::text, true),
            set_config('synchronous_commit', CASE WHEN $4 THEN current_setting('synchronous_commit') ELSE 'off' END,
                true)
        """

    private static func takenOver(_ job: JobName, during stage: StaticString) -> TallyError {
        TallyError(.leaseLost, during: stage, "another run of \(job) has taken over")
    }
}
