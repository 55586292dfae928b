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
    /// With `id` it is that very run, whatever became of it; without, the one under way. `cut` may be called although
    /// another process opens the run first; its cut is then dropped. Throws `RunBusy` while the whole job runs in one
    /// process, `.migrationsMissing` before `tallyman migrate up`.
    package func join(
        _ id: RunID?,
        options: RunOptions,
        requestedBy: String,
        cut: () async throws -> ShardCut
    ) async throws -> RunRecord {
        if let known = try await find(id) { return known }
        let made = try await cut()
        return try await open(id ?? RunID(), isNamed: id != nil, made, options, requestedBy)
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

    /// Under the whole job's lease, held only that long: no run of the whole job, no part and no other opener is going.
    private func open(
        _ id: RunID,
        isNamed: Bool,
        _ cut: ShardCut,
        _ options: RunOptions,
        _ requestedBy: String
    ) async throws -> RunRecord {
        let name = Lease.name(of: job)
        let attempt = try await Lease.acquire(name, run: id, holder: holder, settings: state.settings)
        guard case .won(let lease) = attempt else {
            if let known = try await find(isNamed ? id : nil) { return known }
            let running = try await ledger.runs(job: job, state: .running, limit: 1).first?.id
            throw RunBusy(job: job, running: running)
        }
        do {
            let record = try await open(id, isNamed, cut, options, requestedBy, under: lease)
            await lease.release()
            return record
        } catch {
            await lease.release()
            throw error
        }
    }

    private func open(
        _ id: RunID,
        _ isNamed: Bool,
        _ cut: ShardCut,
        _ options: RunOptions,
        _ requestedBy: String,
        under lease: Lease
    ) async throws -> RunRecord {
        if let known = try await find(isNamed ? id : nil) { return known }
        if let other = try await ledger.runInParts(job: job) { throw RunBusy(job: job, running: other.id) }
        for left in try await ledger.open(job: job) {
            if left.state == .queued { try await ledger.move(left.id, to: .running) }
            try await ledger.move(left.id, to: .interrupted)
        }
        for target in targets { try await Fence.raise(job, to: lease.fence, in: target) }
        try await insert(id, cut, options, requestedBy, fence: lease.fence)
        guard let record = try await ledger.run(id) else {
            throw TallyError(.unknown, during: "shards.open", "the run that was opened is not in the ledger")
        }
        return record
    }

    /// The run and its cut in one transaction: no run in parts is ever without one.
    private func insert(
        _ id: RunID,
        _ cut: ShardCut,
        _ options: RunOptions,
        _ requestedBy: String,
        fence: Int64
    ) async throws {
        let text = try options.json()
        try await state.withConnection { connection in
            try await connection.withTransaction { connection in
                _ = try await connection.query(
                    """
                    INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, options, state, holder, fence,
                        started_at, heartbeat_at, in_parts, cut)
                    VALUES ($1, $2, 'cli', $3, false, $4, 'running', $5, $6, clock_timestamp(), clock_timestamp(), true,
                        $7)
                    """,
                    [
                        .uuid(id.rawValue), .text(job.rawValue), .text(requestedBy), .json(text), .text(holder),
                        .int(fence), .json(cut.facts.text),
                    ]
                )
                try await ShardStore.insert(cut.shards, of: id, on: connection)
            }
        }
    }
}
