package import Postgres

/// How long history is kept.
package struct RetentionPolicy: Sendable, Equatable {
    /// Runs older than this many days go.
    package var days: Int
    /// Of each job at most this many runs stay.
    package var runsPerJob: Int

    package init(days: Int = 90, runsPerJob: Int = 10_000) {
        self.days = days
        self.runsPerJob = runsPerJob
    }
}

/// Removes old history in small steps, so that no long transaction holds up the work.
package struct Housekeeping: Sendable {
    private static let stepRows = 500
    private static let stepsMax = 200

    private let state: PGPool
    /// Where dead letters are: the state database, and every target once.
    private let targets: [PGPool]
    private let policy: RetentionPolicy

    package init(state: PGPool, targets: [PGPool] = [], policy: RetentionPolicy) {
        self.state = state
        self.targets = targets.reduce(into: [state]) { known, pool in
            if !known.contains(where: { $0 === pool }) { known.append(pool) }
        }
        self.policy = policy
    }

    /// One round; how many runs went. Never the last success of a job, nor what is under way.
    package func sweep() async throws -> Int {
        var removed = 0
        for _ in 0..<Self.stepsMax {
            let step = try await removeRuns()
            removed += step
            if step == 0 { break }
        }
        try await removeRest()
        try await removeDeadLetters()
        return removed
    }

    /// One step: days, runs a job, rows a step. The jobs come from a walk along the index, one probe each, so a step
    /// costs what it removes, not what there is.
    package static let removeRunsSQL = """
        WITH RECURSIVE jobs (job) AS (
            (SELECT job FROM etl.runs ORDER BY job LIMIT 1)
            UNION ALL
            SELECT (SELECT r.job FROM etl.runs r WHERE r.job > j.job ORDER BY r.job LIMIT 1)
            FROM jobs j WHERE j.job IS NOT NULL
        ), kept AS (
            SELECT s.id FROM jobs CROSS JOIN LATERAL (
                SELECT id FROM etl.runs r WHERE r.job = jobs.job AND state = 'succeeded' AND NOT dry_run
                ORDER BY queued_at DESC, id DESC LIMIT 1
            ) s
            UNION ALL
            SELECT w.id FROM jobs CROSS JOIN LATERAL (
                SELECT id FROM etl.runs r WHERE r.job = jobs.job AND state = 'succeeded' AND NOT dry_run
                    AND \(Ledger.isWhole)
                ORDER BY queued_at DESC, id DESC LIMIT 1
            ) w
        ), surplus AS (
            SELECT o.id FROM jobs CROSS JOIN LATERAL (
                SELECT id, finished_at FROM etl.runs r WHERE r.job = jobs.job
                ORDER BY queued_at DESC, id DESC OFFSET $2::bigint LIMIT $3::bigint + 100
            ) o WHERE o.finished_at IS NOT NULL AND o.id NOT IN (SELECT id FROM kept)
        ), old AS (
            SELECT id FROM etl.runs
            WHERE finished_at < now() - make_interval(days => $1::int)
                AND id NOT IN (SELECT id FROM kept)
            ORDER BY finished_at LIMIT $3::bigint
        )
        DELETE FROM etl.runs WHERE id = ANY (ARRAY(
            SELECT id FROM (SELECT id FROM old UNION SELECT id FROM surplus) gone LIMIT $3::bigint))
        """

    private func removeRuns() async throws -> Int {
        try await state.withConnection { connection in
            try await connection.query(
                Self.removeRunsSQL,
                [.int(Int64(policy.days)), .int(Int64(policy.runsPerJob)), .int(Int64(Self.stepRows))]
            ).affectedRows
        }
    }

    /// Fires but each job's newest, shards of runs that are gone, and idempotency keys that nobody asks for any more.
    private func removeRest() async throws {
        try await inSteps(
            state,
            """
            DELETE FROM etl.fires WHERE ctid = ANY (ARRAY(
                SELECT f.ctid FROM etl.fires f WHERE fired_at < now() - make_interval(days => $1::int)
                    AND outcome NOT IN ('due', 'waiting')
                    AND instant < (SELECT max(instant) FROM etl.fires n WHERE n.job = f.job)
                LIMIT $2::bigint))
            """,
            olderThan: policy.days
        )
        try await inSteps(
            state,
            """
            DELETE FROM etl.idempotency_keys WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM etl.idempotency_keys WHERE created_at < now() - make_interval(days => $1::int)
                LIMIT $2::bigint))
            """,
            olderThan: 1
        )
        _ = try await state.withConnection { connection in
            try await connection.query(
                "DELETE FROM etl.shards s WHERE NOT EXISTS (SELECT FROM etl.runs r WHERE r.id = s.run_id)"
            )
        }
    }

    /// Resolved dead letters stay where they were recorded: each target has its own.
    ///
    /// A target that does not answer keeps no other from being swept; the first error is thrown at the end.
    private func removeDeadLetters() async throws {
        var failure: (any Error)?
        for target in targets {
            do {
                try await inSteps(
                    target,
                    """
                    DELETE FROM etl.dead_letters WHERE id = ANY (ARRAY(
                        SELECT id FROM etl.dead_letters WHERE resolved_at < now() - make_interval(days => $1::int)
                        LIMIT $2::bigint))
                    """,
                    olderThan: policy.days
                )
            } catch {
                try Task.checkCancellation()
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    private func inSteps(_ pool: PGPool, _ sql: String, olderThan days: Int) async throws {
        for _ in 0..<Self.stepsMax {
            let removed = try await pool.withConnection { connection in
                try await connection.query(sql, [.int(Int64(days)), .int(Int64(Self.stepRows))]).affectedRows
            }
            if removed == 0 { break }
        }
    }
}
