package import Engine
package import Postgres
import Runtime

/// What was said last about each job and subject, shared by all replicas in `etl.notices`.
package struct NoticeStore: Sendable {
    package struct Change: Sendable, Equatable {
        /// What was known before; nil for nothing.
        package let previous: String?
        /// The state is the same, but it was said so long ago that it is said again.
        package let isRepeat: Bool
    }

    private let state: PGPool
    /// Seconds after which a state that lasts is told again; nil never.
    private let repeatAfter: Int?

    package init(state: PGPool, repeatAfter: Int?) {
        self.state = state
        self.repeatAfter = repeatAfter
    }

    /// Notes the state; nil when it was known already and need not be told again. One short transaction.
    package func note(_ job: JobName, _ subject: Alert.Subject, _ now: String) async throws -> Change? {
        let rows = try await state.withConnection { connection in
            try await connection.query(
                """
                WITH old AS (
                    SELECT state FROM etl.notices WHERE job = $1 AND subject = $2 FOR UPDATE
                ), put AS (
                    INSERT INTO etl.notices AS n (job, subject, state) VALUES ($1, $2, $3)
                    ON CONFLICT (job, subject) DO UPDATE SET state = excluded.state, sent_at = clock_timestamp()
                    WHERE n.state <> excluded.state
                        OR n.sent_at < clock_timestamp() - make_interval(secs => $4::float8)
                    RETURNING 1
                )
                SELECT (SELECT state FROM old), EXISTS (SELECT FROM put)
                """,
                [
                    .text(job.rawValue), .text(subject.rawValue), .text(now),
                    repeatAfter.map { .double(Double($0)) } ?? .null,
                ]
            ).rows
        }
        guard let row = rows.first, try row[1].bool() else { return nil }
        let previous = row[0].isNull ? nil : try row[0].string()
        return Change(previous: previous, isRepeat: previous == now)
    }

    /// Takes back what `note` did, so that an alert nobody received is told with the next run.
    package func restore(_ job: JobName, _ subject: Alert.Subject, to previous: String?) async throws {
        _ = try await state.withConnection { connection in
            if let previous {
                try await connection.query(
                    "UPDATE etl.notices SET state = $3 WHERE job = $1 AND subject = $2",
                    [.text(job.rawValue), .text(subject.rawValue), .text(previous)]
                )
            } else {
                try await connection.query(
                    "DELETE FROM etl.notices WHERE job = $1 AND subject = $2",
                    [.text(job.rawValue), .text(subject.rawValue)]
                )
            }
        }
    }
}
