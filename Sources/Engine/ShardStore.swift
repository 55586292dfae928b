import Foundation
package import Postgres
package import Runtime

/// The shards of runs, in the state database.
///
/// A run's shards stand from the moment the run does, so that whoever comes sees the same cut.
package struct ShardStore: Sendable {
    let state: PGPool
    var ledger: Ledger { Ledger(state: state) }

    package init(state: PGPool) { self.state = state }

    /// How a shard that was asked for stands.
    package enum Taken: Sendable, Equatable {
        /// It is the caller's to carry out.
        case open(ShardBounds)
        case done
    }

    /// Cuts a run whose shards are carried inside its own process.
    ///
    /// `resumed`: the run taken up again; when its cut fits, that cut and the shards that were done are taken over, so
    /// that only what was lost is done again, and what was found longer ago than parts are waited for. `cut` is asked
    /// for only otherwise. Doing it again is harmless: a run that has a cut keeps it.
    package func cut(
        _ run: RunID,
        resuming resumed: RunID?,
        fits: (JSONValue) -> Bool,
        _ cut: () async throws -> ShardCut
    ) async throws {
        if case .some = try await facts(of: run) { return }
        if let resumed, let facts = try await facts(of: resumed), fits(facts) {
            return try await adopt(resumed, by: run)
        }
        let cut = try await cut()
        try await changing(run) { connection in
            _ = try await connection.query(
                "UPDATE etl.runs SET cut = $2 WHERE id = $1",
                [.uuid(run.rawValue), .json(cut.facts.text)]
            )
            try await Self.insert(cut.shards, of: run, on: connection)
        }
    }

    private func adopt(_ old: RunID, by run: RunID) async throws {
        try await changing(run) { connection in
            _ = try await connection.query(
                "UPDATE etl.runs SET cut = o.cut FROM etl.runs o WHERE etl.runs.id = $1 AND o.id = $2",
                [.uuid(run.rawValue), .uuid(old.rawValue)]
            )
            _ = try await connection.query(
                """
                INSERT INTO etl.shards (run_id, shard, lower_bound, upper_bound, state, attempts, counts, details,
                    dead_letters, remainder, started_at, finished_at)
                SELECT $1, o.shard, o.lower_bound, o.upper_bound, coalesce(d.state, 'waiting'), o.attempts, d.counts,
                    d.details, coalesce(d.dead_letters, 0), d.remainder, d.started_at, d.finished_at
                FROM etl.shards o LEFT JOIN etl.shards d ON d.run_id = o.run_id AND d.shard = o.shard
                    AND d.state = 'done' AND d.finished_at >= now() - \(Ledger.partsPatienceSQL)
                WHERE o.run_id = $2
                """,
                [.uuid(run.rawValue), .uuid(old.rawValue)]
            )
        }
    }

    static func insert(_ shards: [ShardBounds], of run: RunID, on connection: PGConnection) async throws {
        for (index, bounds) in shards.enumerated() {
            _ = try await connection.query(
                "INSERT INTO etl.shards (run_id, shard, lower_bound, upper_bound) VALUES ($1, $2, $3, $4)",
                [
                    .uuid(run.rawValue), .int(Int64(index)), bounds.lower.map { .json($0.text) } ?? .null,
                    bounds.upper.map { .json($0.text) } ?? .null,
                ]
            )
        }
    }

    /// Takes a shard for the run `part`, which won its lease; nil for a shard inside its whole's process. Doing it
    /// again is harmless.
    ///
    /// Throws `.leaseLost` when the whole run has ended, `.cancelled` when it was cancelled, `.requestInvalid` for a
    /// shard it does not have.
    package func take(_ index: Int, of run: RunID, by part: RunID?, fence: Int64?) async throws -> Taken {
        try await changing(run) { connection in
            let taken = try await connection.query(
                """
                UPDATE etl.shards SET state = CASE state WHEN 'done' THEN 'done' ELSE 'running' END,
                    attempts = attempts + CASE WHEN state = 'done' OR part_run = $3 THEN 0 ELSE 1 END,
                    part_run = CASE state WHEN 'done' THEN part_run ELSE $3 END,
                    fence = CASE state WHEN 'done' THEN fence ELSE $4 END,
                    started_at = CASE state WHEN 'done' THEN started_at ELSE clock_timestamp() END
                WHERE run_id = $1 AND shard = $2
                RETURNING state, lower_bound::text, upper_bound::text
                """,
                [
                    .uuid(run.rawValue), .int(Int64(index)), part.map { .uuid($0.rawValue) } ?? .null,
                    fence.map { .int($0) } ?? .null,
                ]
            )
            guard let row = taken.rows.first else {
                throw TallyError(.requestInvalid, during: "shard.take", "run \(run) has no shard \(index)")
            }
            guard try row[0].string() != "done" else { return .done }
            return .open(ShardBounds(lower: try Self.json(row[1]), upper: try Self.json(row[2])))
        }
    }

    /// Notes that a shard is done; true when it was the last of its run. Doing it again is harmless: the reply to the
    /// first time may have been lost.
    ///
    /// Throws `.leaseLost` when another process has taken the shard or the whole run has ended, `.cancelled` when that
    /// was cancelled.
    package func finish(_ index: Int, of run: RunID, by part: RunID?, _ result: ShardResult) async throws -> Bool {
        try await changing(run) { connection in
            let done = try await connection.query(
                """
                UPDATE etl.shards SET state = 'done', counts = $4, details = $5, dead_letters = $6, remainder = $7,
                    finished_at = clock_timestamp()
                WHERE run_id = $1 AND shard = $2 AND state <> 'waiting' AND part_run IS NOT DISTINCT FROM $3::uuid
                """,
                [
                    .uuid(run.rawValue), .int(Int64(index)), part.map { .uuid($0.rawValue) } ?? .null,
                    .json(JSONValue.object(result.counts.mapValues { .int($0) }).text), .json(result.details.text),
                    .int(Int64(result.deadLetters)), .bytea(result.remainder),
                ]
            )
            guard done.affectedRows == 1 else {
                throw TallyError(.leaseLost, during: "shard.finish", "another process has taken shard \(index)")
            }
            return try await Self.isComplete(run, on: connection)
        }
    }

    /// Whether every shard of a run is done.
    package func isComplete(_ run: RunID) async throws -> Bool {
        try await state.withConnection { try await Self.isComplete(run, on: $0) }
    }

    private static func isComplete(_ run: RunID, on connection: PGConnection) async throws -> Bool {
        try await connection.query(
            "SELECT NOT EXISTS (SELECT FROM etl.shards WHERE run_id = $1 AND state <> 'done')",
            [.uuid(run.rawValue)]
        ).rows.first?[0].bool() ?? false
    }

    /// Notes that the end of a run is begun; whether that was begun before, and may have got somewhere. nil when the
    /// run has ended by now.
    ///
    /// Throws `.cancelled` when the run was cancelled.
    package func beginClosing(_ run: RunID) async throws -> Bool? {
        let begun = try await state.withConnection { connection in
            try await connection.query(
                """
                UPDATE etl.runs
                SET cut = jsonb_set(cut, '{closings}', to_jsonb(coalesce((cut ->> 'closings')::int, 0) + 1))
                WHERE id = $1 AND state = 'running'
                RETURNING (cut ->> 'closings')::int > 1, cancel_requested_by IS NOT NULL
                """,
                [.uuid(run.rawValue)]
            ).rows.first
        }
        guard let begun else { return nil }
        if try begun[1].bool() { throw Self.cancelled(run) }
        return try begun[0].bool()
    }

    private static func cancelled(_ run: RunID) -> TallyError {
        TallyError(.cancelled, during: "shard.change", "run \(run) was cancelled")
    }

    /// Ends a run in parts; false when somebody else has ended it. Throws `.cancelled` when it was cancelled.
    package func end(_ run: RunID, as next: RunState, summary: JSONValue?, error: RunError? = nil) async throws -> Bool
    {
        let cancelledBy = try await state.withConnection { try await ledger.noteWhole(run, on: $0) }
        guard cancelledBy == nil else { throw Self.cancelled(run) }
        do {
            try await ledger.move(run, to: next, summary: summary, error: error)
            return true
        } catch let lost as TallyError where lost.kind == .leaseLost {
            return false
        }
    }

    /// How far shards inside their whole's process are.
    package func note(_ progress: [Int: JSONValue], of run: RunID) async throws {
        try await state.withConnection { connection in
            for (index, value) in progress.sorted(by: { $0.key < $1.key }) {
                _ = try await connection.query(
                    "UPDATE etl.shards SET progress = $3, progress_at = clock_timestamp() "
                        + "WHERE run_id = $1 AND shard = $2 AND state = 'running'",
                    [.uuid(run.rawValue), .int(Int64(index)), .json(value.text)]
                )
            }
        }
    }

    /// Orders changes of one run's shards: of two that finish at once exactly one is the last.
    ///
    /// Throws `.cancelled` once somebody has asked to cancel the run: short shards end before a heartbeat hears of it.
    private func changing<Result: Sendable>(
        _ run: RunID,
        _ body: (PGConnection) async throws -> Result
    ) async throws -> Result {
        try await state.withConnection { connection in
            try await connection.withTransaction { connection in
                let held = try await connection.query(
                    "SELECT state, cancel_requested_by IS NOT NULL FROM etl.runs WHERE id = $1 FOR UPDATE",
                    [.uuid(run.rawValue)]
                )
                if try held.rows.first?[1].bool() == true {
                    throw Self.cancelled(run)
                }
                guard try held.rows.first?[0].string() == RunState.running.rawValue else {
                    throw TallyError(
                        .leaseLost,
                        during: "shard.change",
                        "run \(run) has ended; its shards can change no more",
                        remedy: "`tallyman runs` shows how it ended; begin a new run."
                    )
                }
                return try await body(connection)
            }
        }
    }

    static func json(_ cell: PGCell) throws -> JSONValue? {
        // Not by `?:`, in which `nil` would be JSON's null.
        guard !cell.isNull else { return nil }
        return try JSONDecoder().decode(JSONValue.self, from: Data(try cell.string().utf8))
    }
}
