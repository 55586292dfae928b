import Postgres
import Runtime

/// Which one run of each job an overview asks for.
package enum NewestRun: Sendable, CaseIterable {
    /// The newest that ended and might write.
    case ended
    /// The newest that might write and was proved.
    case proved
    /// The newest that compared to its end, dry or not.
    case compared

    fileprivate var condition: String {
        switch self {
        case .ended: "NOT dry_run AND state NOT IN ('queued', 'running', 'skipped')"
        case .proved: "NOT dry_run AND state = 'succeeded'"
        case .compared: "state IN ('succeeded', 'partial')"
        }
    }
}

extension Ledger {
    /// One run a job at most, in one statement; each costs an index scan.
    package func newest(_ which: NewestRun, of jobs: [JobName]) async throws -> [RunRecord] {
        try await records(
            """
            SELECT \(Self.columns) FROM unnest($1::text[]) AS wanted(name)
            CROSS JOIN LATERAL (SELECT * FROM etl.runs WHERE job = wanted.name AND \(which.condition)
                ORDER BY queued_at DESC, id DESC LIMIT 1) AS newest
            """,
            [.textArray(jobs.map(\.rawValue))]
        )
    }

    /// Runs under way, oldest first; at most 200.
    package func active() async throws -> [RunRecord] {
        try await records(
            "SELECT \(Self.columns) FROM etl.runs WHERE state IN ('queued', 'running') ORDER BY queued_at LIMIT 200",
            []
        )
    }
}
