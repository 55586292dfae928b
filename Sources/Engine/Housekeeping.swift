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
    private let policy: RetentionPolicy

    package init(state: PGPool, policy: RetentionPolicy) {
        self.state = state
        self.policy = policy
    }

    /// One round; how many runs went. Never the last success of a job, nor what is under way.
    package func sweep() async throws -> Int {
        var removed = 0
        for _ in 0..<Self.stepsMax {
            let step = try await removeRuns()
            removed += step
            if step < Self.stepRows { break }
        }
        try await removeRest()
        return removed
    }

    private func removeRuns() async throws -> Int {
        try await state.withConnection { connection in
            try await connection.query(
                """
                WITH kept AS (
                    SELECT DISTINCT ON (job) id FROM etl.runs
                    WHERE state = 'succeeded' AND NOT dry_run ORDER BY job, queued_at DESC, id
                ), surplus AS (
                    SELECT r.id FROM (SELECT DISTINCT job FROM etl.runs) j CROSS JOIN LATERAL (
                        SELECT id FROM etl.runs WHERE job = j.job ORDER BY queued_at DESC, id OFFSET $2 LIMIT $3
                    ) r
                ), old AS (
                    SELECT id FROM etl.runs WHERE finished_at < clock_timestamp() - make_interval(days => $1::int)
                    ORDER BY finished_at LIMIT $3
                )
                DELETE FROM etl.runs WHERE finished_at IS NOT NULL
                    AND id IN (SELECT id FROM (SELECT id FROM old UNION SELECT id FROM surplus) o
                               WHERE id NOT IN (SELECT id FROM kept) LIMIT $3)
                """,
                [.int(Int64(policy.days)), .int(Int64(policy.runsPerJob)), .int(Int64(Self.stepRows))]
            ).affectedRows
        }
    }

    /// Fires but each job's newest, resolved dead letters and idempotency keys that nobody asks for any more.
    private func removeRest() async throws {
        try await state.withConnection { connection in
            _ = try await connection.query(
                """
                DELETE FROM etl.fires f WHERE fired_at < clock_timestamp() - make_interval(days => $1::int)
                    AND outcome NOT IN ('due', 'waiting')
                    AND instant < (SELECT max(instant) FROM etl.fires n WHERE n.job = f.job)
                """,
                [.int(Int64(policy.days))]
            )
            _ = try await connection.query(
                "DELETE FROM etl.dead_letters WHERE resolved_at < clock_timestamp() - make_interval(days => $1::int)",
                [.int(Int64(policy.days))]
            )
            _ = try await connection.query(
                "DELETE FROM etl.idempotency_keys WHERE created_at < clock_timestamp() - interval '24 hours'"
            )
        }
    }
}
