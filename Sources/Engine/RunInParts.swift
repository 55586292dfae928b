package import Postgres
import Runtime

/// A run that processes carry together, one shard each: opened by the first comer, joined by the others.
package struct RunInParts: Sendable {
    let state: PGPool
    let job: JobName
    let targets: [PGPool]
    let holder: String
    private var ledger: Ledger { Ledger(state: state) }

    package init(state: PGPool, job: JobName, targets: [PGPool], holder: String) {
        self.state = state
        self.job = job
        self.targets = targets
        self.holder = holder
    }

    /// Finds the run to join, or opens one with the cut that `cut` makes.
    ///
    /// With `id` it is that very run, whatever became of it; without, the one under way. A cancelled run that nobody is
    /// left to end is ended here. `cut` is made by one process at a time, under the whole job's lease: no run of the
    /// whole job, no part and no other opener is going. Throws `RunBusy` while one is, `.leaseLost` when another
    /// process has taken over meanwhile, `.migrationsMissing` before `tallyman migrate up`.
    package func join(
        _ id: RunID?,
        options: RunOptions,
        requestedBy: String,
        cut: @escaping @Sendable () async throws -> ShardCut
    ) async throws -> RunRecord {
        if let known = try await find(id) { return try await endIfCancelled(known) }
        let new = id ?? RunID()
        guard let lease = try await lease(for: new) else {
            if let known = try await find(id) { return known }
            throw RunBusy(job: job, running: try await ledger.runs(job: job, state: .running, limit: 1).first?.id)
        }
        return try await lease.whileHeld {
            if let known = try await find(id) { return known }
            if let other = try await ledger.runInParts(job: job) { throw RunBusy(job: job, running: other.id) }
            _ = try await ledger.closeLeft(job, targets: targets, under: lease)
            for target in targets { try await Fence.raise(job, to: lease.fence, in: target) }
            try await insert(new, try await cut(), options, requestedBy, under: lease)
            guard let record = try await ledger.run(new) else {
                throw TallyError(.unknown, during: "shards.open", "the run that was opened is not in the ledger")
            }
            return record
        }
    }

    private func lease(for run: RunID) async throws -> Lease? {
        let name = Lease.name(of: job)
        let attempt = try await Lease.acquire(name, run: run, holder: holder, settings: state.settings)
        guard case .won(let lease) = attempt else { return nil }
        return lease
    }

    private func find(_ id: RunID?) async throws -> RunRecord? {
        do {
            guard let id else { return try await ledger.runInParts(job: job) }
            guard let record = try await ledger.run(id) else { return nil }
            guard record.job == job, record.isInParts else {
                throw TallyError(.requestInvalid, during: "shards.join", "run \(id) is no run in shards of \(job)")
            }
            return record
        } catch let error as TallyError where ["42P01", "42703"].contains(error.serverError?.sqlState) {
            throw TallyError(
                .migrationsMissing,
                during: "shards.join",
                "schema etl is missing or too old in \(state.settings.databaseLabel)",
                remedy: "Run `tallyman migrate up`.",
                cause: error
            )
        }
    }

    /// A run in parts that was cancelled, ended unless one of its parts is still going; any other as it is.
    private func endIfCancelled(_ known: RunRecord) async throws -> RunRecord {
        guard known.isCancelRequested, !known.state.isFinal else { return known }
        guard let lease = try await lease(for: known.id) else { return known }
        return try await lease.whileHeld {
            _ = try await ledger.closeLeft(job, targets: targets, under: lease)
            return try await ledger.run(known.id) ?? known
        }
    }

    /// The run and its cut in one transaction, which only the lease's holder can commit: no run in parts is ever
    /// without a cut.
    private func insert(
        _ id: RunID,
        _ cut: ShardCut,
        _ options: RunOptions,
        _ requestedBy: String,
        under lease: Lease
    ) async throws {
        let text = try options.json()
        try await state.withConnection { connection in
            try await connection.withTransaction { connection in
                let held = try await connection.query(
                    "SELECT FROM etl.leases WHERE name = $1 AND fence = $2 FOR UPDATE",
                    [.text(lease.name), .int(lease.fence)]
                )
                guard held.affectedRows == 1 else {
                    throw TallyError(.leaseLost, during: "shards.open", "another process has taken over \(job)")
                }
                _ = try await connection.query(
                    """
                    INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, options, state, holder, fence,
                        started_at, heartbeat_at, in_parts, cut)
                    VALUES ($1, $2, 'cli', $3, false, $4, 'running', $5, $6, clock_timestamp(), clock_timestamp(), true,
                        $7)
                    """,
                    [
                        .uuid(id.rawValue), .text(job.rawValue), .text(requestedBy), .json(text), .text(holder),
                        .int(lease.fence), .json(cut.facts.text),
                    ]
                )
                try await ShardStore.insert(cut.shards, of: id, on: connection)
            }
        }
    }
}
