package import Engine
package import Logging
import Mongo
package import Postgres
import Runtime

/// Finds or opens the run that a shard's process belongs to.
package struct ProductSyncShards: Sendable {
    let job: ProductSyncJob
    let state: PGPool
    let holder: String
    let logger: Logger

    package init(job: ProductSyncJob, state: PGPool, holder: String, logger: Logger) {
        self.job = job
        self.state = state
        self.holder = holder
        self.logger = logger
    }

    /// What a shard's process has to do.
    package enum Joined: Sendable {
        case work(ProductSyncShardJob)
        /// Nothing: this run tells how the shard, or its whole, ended.
        case done(RunID)
    }

    /// Joins shard `index` of `count` to the run `id`, or to the one under way; opens it when there is none.
    ///
    /// Throws `.requestInvalid` when that run is cut otherwise, was cancelled or has ended without success, `RunBusy`
    /// while the sync runs in one process or another shard's still cuts it.
    package func join(
        _ index: Int,
        of count: Int,
        run id: RunID?,
        options: RunOptions,
        requestedBy: String
    ) async throws -> Joined {
        let plan = try await ProductSyncJob.plan(job.settings, cart: job.cart)
        let runs = RunInParts(state: state, job: job.name, targets: job.targets, holder: holder)
        let cut = cut(plan)
        let record = try await runs.join(id, options: options, requestedBy: requestedBy) { try await cut.make(count) }
        let store = ShardStore(state: state)
        let facts = try await store.facts(of: record.id) ?? .null
        try cut.check(facts, shards: count, run: record.id)
        if let done = try await ended(record, index, store) { return .done(done) }
        return .work(
            ProductSyncShardJob(
                partOf: PartOf(job: job.name, run: record.id, fence: record.fence),
                whole: job,
                run: record.id,
                index: index,
                store: store
            )
        )
    }

    /// The run that tells about a shard which has nothing left to do: its own, where that lived to tell.
    private func ended(_ record: RunRecord, _ index: Int, _ store: ShardStore) async throws -> RunID? {
        switch record.state {
        case .succeeded, .partial: break
        case .queued, .running:
            if record.isCancelRequested { throw Self.over(record.id, "was cancelled") }
        case .failed, .cancelled, .interrupted, .skipped:
            throw Self.over(record.id, "has ended: \(record.state.rawValue)")
        }
        let shards = try await store.shards(of: record.id)
        // The end of the run is left to whoever comes.
        guard record.state.isFinal || shards.contains(where: { $0.state != .done }) else { return nil }
        if let shard = shards.first(where: { $0.index == index }), shard.state == .done, let part = shard.run,
            let told = try await Ledger(state: state).run(part), [.succeeded, .partial].contains(told.state)
        {
            return part
        }
        return record.state.isFinal ? record.id : nil
    }

    private static func over(_ run: RunID, _ how: String) -> TallyError {
        TallyError(
            .requestInvalid,
            during: "shards.join",
            "run \(run) \(how)",
            remedy: "Begin a new run, with another --run or none."
        )
    }

    private func cut(_ plan: ColumnPlan) -> SyncCut {
        let context = RunContext(
            runID: RunID(),
            job: job.name,
            options: RunOptions(dryRun: true),
            fence: nil,
            logger: logger,
            progress: Progress(),
            deadLetters: DeadLetterSink(job: job.name, runID: RunID(), pool: nil)
        )
        return job.cut(plan, context)
    }
}

extension ProductSyncJob {
    func cut(_ plan: ColumnPlan, _ context: RunContext) -> SyncCut {
        SyncCut(
            source: SourceReader(pool: mongo, plan: plan, context: context),
            sampler: SourceSampler(pool: mongo, collection: plan.collection, context: context),
            target: cart,
            plan: plan,
            orphans: settings.orphanPolicy,
            context: context
        )
    }
}
