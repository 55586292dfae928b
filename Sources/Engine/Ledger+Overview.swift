import Postgres
import Runtime

/// Which one run of each job an overview asks for.
package enum NewestRun: Sendable, CaseIterable {
    /// The newest that ended and might write.
    case ended
    /// The newest that says how the whole job stands: of those that might write and ended, any that did not go well, or
    /// went well and covered all of it.
    case standing
    /// The newest that might write, covered the whole job and was proved.
    case proved
    /// The newest that ended with what it was asked for, dry or not, where that compared both sides: it counted what
    /// was missing. Of a job that compares nothing there is none.
    case compared

    fileprivate var condition: String {
        switch self {
        case .ended: "NOT dry_run AND state NOT IN ('queued', 'running', 'skipped')"
        case .standing: "\(Self.ended.condition) AND \(Ledger.isWhole)"
        case .proved: "NOT dry_run AND state = 'succeeded' AND \(Ledger.isWhole)"
        case .compared: "state IN ('succeeded', 'partial')"
        }
    }

    /// What the one run found must be: asked of no other, so that a job without such runs costs no walk through them.
    fileprivate var demand: String {
        switch self {
        case .ended, .standing, .proved: "true"
        case .compared: "summary -> 'counts' ? 'missingProducts'"
        }
    }
}

extension Ledger {
    /// Of a run's row: it covered the whole job, or did not end well.
    static let isWhole = "summary -> 'isWhole' IS DISTINCT FROM 'false'::jsonb"

    /// One run a job at most, in one statement; each costs an index scan.
    package func newest(_ which: NewestRun, of jobs: [JobName]) async throws -> [RunRecord] {
        try await records(
            """
            SELECT \(Self.columns) FROM unnest($1::text[]) AS wanted(name)
            CROSS JOIN LATERAL (SELECT * FROM etl.runs WHERE job = wanted.name AND \(which.condition)
                ORDER BY queued_at DESC, id DESC LIMIT 1) AS newest
            WHERE \(which.demand)
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
