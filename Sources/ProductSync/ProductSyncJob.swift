package import Engine
package import Mongo
package import Postgres
import Runtime

/// Compares the shop's products with the cart's table and repairs the difference.
///
/// One pass over both sides in key order; a dry run makes the same pass on read-only sessions. A run is a success only
/// when the server's command tags equal the plan row for row, and with verification when a second compare is empty.
package struct ProductSyncJob: Job {
    package let name: JobName = "product_sync"
    package let knownOptions: Set<RunOptionName> = [.dryRun, .batchSize, .verify]
    package var targets: [PGPool] { [cart] }

    let settings: ProductSyncSettings
    let mongo: MongoPool
    let cart: PGPool
    let fault: TargetWriter.Fault?

    package init(
        settings: ProductSyncSettings,
        mongo: MongoPool,
        cart: PGPool,
        fault: TargetWriter.Fault? = nil
    ) {
        self.settings = settings
        self.mongo = mongo
        self.cart = cart
        self.fault = fault
    }

    package func publish(_ newest: RunRecord?) {
        guard let newest, let counts = newest.summary?["counts"]?.object else { return }
        SyncMetric.record(counts.compactMapValues(\.int), dryRun: newest.dryRun)
    }

    package func run(_ context: RunContext) async throws -> RunSummary {
        context.progress.stage("plan")
        let plan = try await context.retrying("sync.plan") { try await Self.plan(settings, cart: cart) }
        context.progress.total = try? await estimatedTotal(plan)
        if settings.shards > 1 { return try await ShardsInProcess(job: self, plan: plan, context: context).run() }
        let (settler, proof) = try await carryOut(plan, context, range: .everything) { settler in
            try await context.failpoint.reach("sync.orphans")
            try await OrphanRemover(settings: settings, plan: plan).run(&settler, self, context)
        }
        let tally = settler.tally
        if !context.options.dryRun { try await closeLetters(unseenBy: [context.runID], tally, plan, context) }
        SyncMetric.record(tally, dryRun: context.options.dryRun)
        return RunSummary(counts: tally.counts, details: tally.details, deadLetters: tally.deadLetters, proof: proof)
    }

    /// Compares one range and, in a run that is not dry, repairs and proves it.
    ///
    /// `removing` comes once the whole range was read and before the writes are made durable.
    func carryOut(
        _ plan: ColumnPlan,
        _ context: RunContext,
        range: SyncRange,
        removing: (inout FindingsSettler) async throws -> Void = { _ in }
    ) async throws -> (FindingsSettler, Proof) {
        let dryRun = context.options.dryRun
        context.progress.stage("compare")
        var settler = try await pass(plan, context, range, mode: dryRun ? .report : .repair)
        guard !dryRun else { return (settler, .compareOnly) }
        try await removing(&settler)
        try await context.failpoint.reach("sync.durable")
        try await writer(plan, context).makeDurable()
        try await repairAfterLosses(plan, context, range, &settler, removing)
        try await context.failpoint.reach("sync.verify")
        guard context.options.verify ?? settings.verifyFull else { return (settler, .commandTags) }
        context.progress.stage("verify")
        context.progress.total = context.progress.total.map { $0 * 2 }
        try await verify(plan, context, range, &settler)
        return (settler, .fullCompare)
    }

    /// What none of `runs`, which looked at everything, has refused again is wrong no more: its document is gone, or
    /// the other one of its key. Of a row that was left alone nobody knows.
    func closeLetters(
        unseenBy runs: [RunID],
        _ tally: SyncTally,
        _ plan: ColumnPlan,
        _ context: RunContext
    ) async throws {
        guard tally.changedMeanwhile == 0 else { return }
        try await context.retrying("sync.letters") {
            guard try await context.deadLetters.hasUnseen(by: runs) else { return }
            try await writer(plan, context).transaction { connection in
                try await context.deadLetters.resolveUnseen(by: runs, in: connection)
            }
        }
    }

    /// The mapping compiled against the cart's catalog as it is now.
    package static func plan(_ settings: ProductSyncSettings, cart: PGPool) async throws -> ColumnPlan {
        let mapping = settings.mapping
        let table = try await cart.withConnection { connection in
            try await PGCatalog.table(connection, schema: mapping.schema, name: mapping.table)
        }
        guard let table else {
            throw TallyError(
                .schemaMismatch,
                during: "sync.plan",
                "\(mapping.place(mapping.tableLine)): the target has no table \"\(mapping.table)\"",
                remedy:
                    "The cart service creates its own table; start it once, or name the right table in SYNC_MAPPING."
            )
        }
        var mark: String?
        if case .mark(let column) = settings.orphanPolicy { mark = column }
        return try ColumnPlan(mapping: mapping, table: table, markColumn: mark)
    }

    /// For the progress bar only: an estimate decides nothing.
    func estimatedTotal(_ plan: ColumnPlan) async throws -> Int {
        try await mongo.withSession { try await $0.estimatedCount(plan.collection) }
    }

    func writer(_ plan: ColumnPlan, _ context: RunContext) -> TargetWriter {
        TargetWriter(pool: cart, plan: plan, context: context, fault: fault)
    }

    func keyed(_ plan: ColumnPlan, _ context: RunContext) -> KeyedComparison {
        KeyedComparison(
            source: SourceReader(pool: mongo, plan: plan, context: context),
            target: TargetReader(pool: cart, plan: plan, context: context),
            plan: plan
        )
    }

    /// One look at both sides, at all of the range or at `keys` alone.
    private func pass(
        _ plan: ColumnPlan,
        _ context: RunContext,
        _ range: SyncRange,
        mode: FindingsSettler.Mode,
        proving: SettledKeys? = nil,
        keys: [[UInt8]]? = nil
    ) async throws -> FindingsSettler {
        let open = try await context.retrying("sync.letters") {
            try await context.deadLetters.openFingerprints(in: nil)
        }
        let keyed = keyed(plan, context)
        let comparison = Comparison(
            source: SourceReader(pool: mongo, plan: plan, context: context, range: range.source),
            target: TargetReader(pool: cart, plan: plan, context: context, range: range.target),
            plan: plan,
            context: context,
            collectsUnchangedKeys: !open.isEmpty && mode == .repair,
            range: range
        )
        let settler = FindingsSettler(
            mode: mode,
            plan: plan,
            keyed: keyed,
            writer: writer(plan, context),
            context: context,
            batchSize: context.options.batchSize ?? settings.batchSize,
            // The shards of one process are lanes already.
            lanes: context.partOf == nil ? WriteLanes.width(connections: cart.maxConnections) : 1,
            orphanPolicy: settings.orphanPolicy,
            open: open,
            proving: proving
        )
        let stretches = BoundedChannel<Findings>(capacity: 1)
        return try await withThrowingTaskGroup(of: Comparison.Totals?.self) { group in
            group.addTask {
                do {
                    let deliver: @Sendable (Findings) async throws -> Void = { try await stretches.send($0) }
                    let totals =
                        if let keys {
                            try await comparison.run(keys: keys, deliver)
                        } else {
                            try await comparison.run(isAwaited: { stretches.isAwaited }, deliver)
                        }
                    stretches.finish()
                    return totals
                } catch {
                    stretches.finish(throwing: error)
                    throw error
                }
            }
            let lanes = settler.lanes
            for _ in 0..<lanes.width {
                group.addTask {
                    try await lanes.run()
                    return nil
                }
            }
            defer { group.cancelAll() }
            var settler = settler
            while let findings = try await stretches.receive() {
                try await context.failpoint.reach("compare.found")
                try await settler.settle(findings)
                try await context.failpoint.reach("compare.settled")
            }
            try await settler.settleWrites()
            for try await case let totals? in group {
                try await settler.addUnkeyable(totals.unkeyable)
                settler.noteTotals(totals)
            }
            return settler
        }
    }

    /// Batches were committed asynchronously: a server that crashed meanwhile may have forgotten some. So after a lost
    /// connection both sides are compared and repaired once more, until a pass loses none (INV-11).
    private func repairAfterLosses(
        _ plan: ColumnPlan,
        _ context: RunContext,
        _ range: SyncRange,
        _ settler: inout FindingsSettler,
        _ removing: (inout FindingsSettler) async throws -> Void
    ) async throws {
        var seen = 0
        for _ in 0..<3 where context.targetLosses > seen {
            seen = context.targetLosses
            context.progress.stage("compare again")
            var again = try await pass(plan, context, range, mode: .repair)
            try await removing(&again)
            settler.merge(again: again)
            try await writer(plan, context).makeDurable()
        }
        guard context.targetLosses == seen else { throw Self.lostAgain }
    }

    static var lostAgain: TallyError {
        TallyError(
            .targetUnreachable,
            during: "sync.repair",
            "the target was lost again and again; what it holds is not proved",
            remedy: "Run the sync again when the target stays up."
        )
    }

    /// The second compare, key by key: a row that was left alone may still differ, every other may not (INV-11).
    ///
    /// The shop goes on meanwhile, so what differs is repaired once more and looked at again, a few times over: only a
    /// row that never becomes what was written refutes the proof.
    private func verify(
        _ plan: ColumnPlan,
        _ context: RunContext,
        _ range: SyncRange,
        _ settler: inout FindingsSettler
    ) async throws {
        let all = try await pass(plan, context, range, mode: .report, proving: settler.settled).unproved
        var left = all
        for _ in 0..<3 where !left.keys.isEmpty && left.keys.count < Unproved.keysMax {
            settler.merge(some: try await pass(plan, context, range, mode: .repair, keys: left.keys))
            try await writer(plan, context).makeDurable()
            let proving = settler.settled
            left = try await pass(plan, context, range, mode: .report, proving: proving, keys: left.keys).unproved
        }
        left.orphaned = all.orphaned
        guard left.isProof else {
            throw TallyError(
                .proofFailed,
                during: "sync.verify",
                "after the sync \(left.missing) products are still missing and \(left.stale) stale, and "
                    + "\(left.orphaned) removed rows are there again",
                remedy: "Run `tallyman validate`; if it repeats, a trigger on the table changes what is written."
            )
        }
    }
}
