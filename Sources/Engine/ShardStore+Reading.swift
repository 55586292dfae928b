import Foundation
import Postgres
package import Runtime

extension ShardStore {
    /// Every shard of a run, in their order; empty for a run that is not cut.
    package func shards(of run: RunID) async throws -> [ShardRecord] {
        let rows = try await state.withConnection { connection in
            try await connection.query(
                """
                SELECT s.shard, s.lower_bound::text, s.upper_bound::text,
                    CASE WHEN s.state <> 'running' THEN s.state
                         WHEN p.state IN ('failed', 'cancelled', 'interrupted') THEN p.state
                         WHEN s.part_run IS NOT NULL AND coalesce(l.expires_at, '-infinity') < clock_timestamp()
                            THEN 'lost'
                         WHEN w.state IN ('failed', 'cancelled', 'interrupted') THEN w.state
                         WHEN w.state NOT IN ('queued', 'running') THEN 'lost'
                         ELSE 'running' END,
                    s.attempts, s.part_run, coalesce(p.progress, s.progress)::text,
                    coalesce(p.heartbeat_at, s.progress_at), s.counts::text, s.details::text, s.dead_letters,
                    s.started_at, s.finished_at
                FROM etl.shards s JOIN etl.runs w ON w.id = s.run_id
                LEFT JOIN etl.runs p ON p.id = s.part_run
                LEFT JOIN etl.leases l ON l.name = $2 || w.job || $3 || s.shard
                WHERE s.run_id = $1 ORDER BY s.shard
                """,
                [.uuid(run.rawValue), .text(Lease.name(of: "")), .text(JobName.partMark)]
            ).rows
        }
        return try rows.map(Self.record)
    }

    private static func record(_ row: PGRow) throws -> ShardRecord {
        guard let state = ShardRecord.State(rawValue: try row[3].string()) else {
            throw TallyError(.schemaMismatch, during: "shard.read", "a shard has a state this version does not know")
        }
        func date(_ cell: PGCell) throws -> Date? { cell.isNull ? nil : try cell.date() }
        return ShardRecord(
            index: try row[0].int(),
            bounds: ShardBounds(lower: try json(row[1]), upper: try json(row[2])),
            state: state,
            attempts: try row[4].int(),
            run: row[5].isNull ? nil : RunID(rawValue: try row[5].uuid()),
            progress: try json(row[6]),
            progressAt: try date(row[7]),
            counts: try json(row[8])?.object?.compactMapValues(\.int) ?? [:],
            details: try json(row[9]) ?? .null,
            deadLetters: try row[10].int(),
            startedAt: try date(row[11]),
            finishedAt: try date(row[12])
        )
    }

    /// How the shards of a job's newest run stand, none when it was not cut; nil for a job that never was.
    func statesOfNewest(_ job: JobName) async throws -> [ShardRecord.State: Int]? {
        let newest = try await state.withConnection { connection in
            try await connection.query(
                """
                SELECT id FROM etl.runs WHERE job = $1 AND NOT dry_run AND state <> 'skipped'
                    AND EXISTS (SELECT FROM etl.runs WHERE job = $1 AND cut IS NOT NULL)
                ORDER BY queued_at DESC, id DESC LIMIT 1
                """,
                [.text(job.rawValue)]
            ).rows.first?[0].uuid()
        }
        guard let newest else { return nil }
        var states: [ShardRecord.State: Int] = [:]
        for shard in try await shards(of: RunID(rawValue: newest)) { states[shard.state, default: 0] += 1 }
        return states
    }

    /// What the shards of a run left for its end, in the shards' order, as many as `bytesMax` holds.
    package func remainders(of run: RunID, bytesMax: Int) async throws -> [[UInt8]] {
        try await state.withConnection { connection in
            try await connection.query(
                """
                SELECT remainder FROM (
                    SELECT shard, remainder, sum(length(remainder)) OVER (ORDER BY shard) AS bytes
                    FROM etl.shards WHERE run_id = $1) s
                WHERE bytes <= $2 AND length(remainder) > 0 ORDER BY shard
                """,
                [.uuid(run.rawValue), .int(Int64(bytesMax))]
            ).rows.map { $0[0].bytes ?? [] }
        }
    }

    /// What the cut of a run was made from; nil for a run that is not cut.
    package func facts(of run: RunID) async throws -> JSONValue? {
        try await state.withConnection { connection in
            let row = try await connection.query(
                "SELECT cut::text FROM etl.runs WHERE id = $1",
                [.uuid(run.rawValue)]
            ).rows.first
            return try row.flatMap { try Self.json($0[0]) }
        }
    }
}
