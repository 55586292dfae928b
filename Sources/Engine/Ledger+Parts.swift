import Postgres
import Runtime

extension Ledger {
    /// Sums the progress of a run's shards; a shard in a process of its own has it in its run's row.
    private static let sumSQL = """
        SELECT jsonb_build_object('stage', 'shards', 'read', coalesce(sum((p ->> 'read')::bigint), 0),
            'compared', coalesce(sum((p ->> 'compared')::bigint), 0),
            'written', coalesce(sum((p ->> 'written')::bigint), 0), 'total', sum((p ->> 'total')::bigint),
            'rowsPerSecond', coalesce(sum((p ->> 'rowsPerSecond')::float8) FILTER (WHERE state = 'running'), 0),
            'etaSeconds', NULL, 'waiting', coalesce(bool_or((p ->> 'waiting')::boolean), false),
            'retries', coalesce(sum((p ->> 'retries')::bigint), 0), 'stages', '[]'::jsonb,
            'shards', count(*), 'shardsDone', count(*) FILTER (WHERE state = 'done'))
        FROM (SELECT s.state, coalesce(r.progress, s.progress) AS p FROM etl.shards s
              LEFT JOIN etl.runs r ON r.id = s.part_run WHERE s.run_id = $1) one
        """

    /// Notes for a run in parts that one of them lives, at most once a second; who asked to cancel it, if anybody.
    func noteWhole(_ whole: RunID, on connection: PGConnection) async throws -> String? {
        _ = try await connection.query(
            """
            UPDATE etl.runs SET heartbeat_at = clock_timestamp(), progress = (\(Self.sumSQL))
            WHERE id = $1 AND state = 'running' AND heartbeat_at < clock_timestamp() - interval '1 second'
            """,
            [.uuid(whole.rawValue)]
        )
        let by = try await connection.query(
            "SELECT coalesce(cancel_requested_by, '') FROM etl.runs WHERE id = $1 AND state = 'running'",
            [.uuid(whole.rawValue)]
        ).rows.first?[0].string()
        return by.flatMap { $0.isEmpty ? nil : $0 }
    }
}
