package import Foundation
import Postgres
package import Runtime

/// Runs of one job that began within one stretch of time, summed up.
package struct TimelineSpan: Sendable {
    package let job: JobName
    package let began: Date
    package let ended: Date
    package let runs: Int
    package let dryRuns: Int
    /// How many of each state; states without a run are absent.
    package let states: [RunState: Int]
    /// The run that most deserves a look: the worst, and of those the newest.
    package let run: RunID
    package let seconds: Double
    package let longestSeconds: Double
    package let rows: Int
    /// Counts of the newest run that compared both sides.
    package let counts: JSONValue?
}

extension Ledger {
    /// Spans a timeline may have; more are cut, the oldest first.
    package static let spansMax = 6_000

    /// What ran between two instants, oldest first, in stretches of `stretchSeconds`: a hundred thousand runs are no
    /// longer an answer than a hundred.
    package func timeline(from: Date, to: Date, stretchSeconds: Int, job: JobName?) async throws -> [TimelineSpan] {
        let rows = try await state.withConnection { connection in
            try await connection.query(
                Self.timelineSQL,
                [
                    .timestamp(from), .timestamp(to), .double(Double(max(1, stretchSeconds))),
                    job.map { .text($0.rawValue) } ?? .null, .int(Int64(Self.spansMax)),
                ]
            ).rows
        }
        return try rows.map(Self.span).reversed()
    }

    private static let timelineSQL = """
        WITH chosen AS (
            SELECT id, job, state, dry_run, queued_at, coalesce(started_at, queued_at) AS began,
                coalesce(finished_at, clock_timestamp()) AS ended, (progress->>'read')::float8 AS read,
                CASE WHEN summary->'counts' ? 'missingProducts' THEN summary->'counts' END AS counts,
                array_position(ARRAY['succeeded', 'skipped', 'queued', 'running', 'cancelled', 'partial',
                    'interrupted', 'failed'], state) AS severity
            FROM etl.runs
            WHERE (queued_at >= $1 OR finished_at >= $1 OR state IN ('queued', 'running')) AND queued_at < $2
                AND ($4::text IS NULL OR job = $4))
        SELECT job, min(began), max(ended), count(*), count(*) FILTER (WHERE dry_run),
            count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'running'),
            count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE state = 'partial'),
            count(*) FILTER (WHERE state = 'failed'), count(*) FILTER (WHERE state = 'cancelled'),
            count(*) FILTER (WHERE state = 'interrupted'), count(*) FILTER (WHERE state = 'skipped'),
            (array_agg(id ORDER BY severity DESC, queued_at DESC))[1],
            sum(extract(epoch FROM ended - began))::float8, max(extract(epoch FROM ended - began))::float8,
            coalesce(sum(read), 0)::float8,
            ((array_agg(counts ORDER BY queued_at DESC) FILTER (WHERE counts IS NOT NULL))[1])::text
        FROM chosen
        GROUP BY job, floor(extract(epoch FROM began) / $3)
        ORDER BY 2 DESC LIMIT $5
        """

    /// The order of the counts in the statement.
    private static let states: [RunState] = [
        .queued, .running, .succeeded, .partial, .failed, .cancelled, .interrupted, .skipped,
    ]

    private static func span(_ row: PGRow) throws -> TimelineSpan {
        var states: [RunState: Int] = [:]
        for (offset, state) in Self.states.enumerated() {
            let count = try row[5 + offset].int()
            if count > 0 { states[state] = count }
        }
        let counts = row[17].isNull ? nil : Data(try row[17].string().utf8)
        return TimelineSpan(
            job: JobName(rawValue: try row[0].string()),
            began: try row[1].date(),
            ended: try row[2].date(),
            runs: try row[3].int(),
            dryRuns: try row[4].int(),
            states: states,
            run: RunID(rawValue: try row[13].uuid()),
            seconds: try row[14].double(),
            longestSeconds: try row[15].double(),
            rows: Int(try row[16].double()),
            counts: try counts.map { try JSONDecoder().decode(JSONValue.self, from: $0) }
        )
    }
}
