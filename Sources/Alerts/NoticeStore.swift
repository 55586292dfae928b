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

    /// What the state would change; nil when it was told already and need not be told again. Notes nothing.
    package func change(_ job: JobName, _ subject: Alert.Subject, to now: String) async throws -> Change? {
        let rows = try await state.withConnection { connection in
            try await connection.query(
                """
                SELECT state, coalesce(sent_at < clock_timestamp() - make_interval(secs => $3::float8), false)
                FROM etl.notices WHERE job = $1 AND subject = $2
                """,
                [
                    .text(job.rawValue), .text(subject.rawValue), repeatAfter.map { .double(Double($0)) } ?? .null,
                ]
            ).rows
        }
        guard let row = rows.first else { return Change(previous: nil, isRepeat: false) }
        let previous = try row[0].string()
        if previous != now { return Change(previous: previous, isRepeat: false) }
        return try row[1].bool() ? Change(previous: previous, isRepeat: true) : nil
    }

    /// Notes that the state was told, for all replicas.
    package func note(_ job: JobName, _ subject: Alert.Subject, _ now: String) async throws {
        _ = try await state.withConnection { connection in
            try await connection.query(
                """
                INSERT INTO etl.notices (job, subject, state) VALUES ($1, $2, $3)
                ON CONFLICT (job, subject) DO UPDATE SET state = excluded.state, sent_at = clock_timestamp()
                """,
                [.text(job.rawValue), .text(subject.rawValue), .text(now)]
            )
        }
    }
}
