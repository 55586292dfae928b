package import Engine
import Mongo
package import Postgres
import Runtime

/// One shard of a product sync in a process of its own; the last to be done ends the whole run.
package struct ProductSyncShardJob: Job {
    package let knownOptions: Set<RunOptionName> = [.batchSize, .verify]
    package let partOf: PartOf?
    let whole: ProductSyncJob
    let run: RunID
    let index: Int
    let store: ShardStore

    package var name: JobName { whole.name.part(index) }
    package var targets: [PGPool] { whole.targets }

    package func run(_ context: RunContext) async throws -> RunSummary {
        context.progress.stage("plan")
        let plan = try await context.retrying("sync.plan") {
            try await ProductSyncJob.plan(whole.settings, cart: whole.cart)
        }
        let summary: RunSummary
        let isLast: Bool
        let taken = try await context.retrying("shard.take") {
            try await store.take(index, of: run, by: context.runID, fence: context.fence)
        }
        switch taken {
        case .open(let bounds): (summary, isLast) = try await carryOut(bounds, plan, context)
        case .done:
            (summary, isLast) = try await context.retrying("shard.read") {
                (try await summaryOfDone(), try await store.isComplete(run))
            }
        }
        if isLast { try await end(plan, context) }
        return summary
    }

    private func carryOut(
        _ bounds: ShardBounds,
        _ plan: ColumnPlan,
        _ context: RunContext
    ) async throws -> (RunSummary, isLast: Bool) {
        let facts = try await context.retrying("shard.read") { try await store.facts(of: run) } ?? .null
        try whole.cut(plan, context).check(facts, shards: facts["shards"]?.int ?? 0, run: run)
        let pairing = SyncRange.Pairing(rawValue: facts["pairing"]?.string ?? "") ?? .independent
        let range = try SyncRange(bounds, pairing: pairing)
        let (settler, proof) = try await whole.carryOut(plan, context, range: range)
        let (counts, details) = settler.tally.summary(proof)
        let result = ShardResult(
            counts: counts,
            details: details,
            deadLetters: settler.tally.deadLetters,
            remainder: OrphanKeys.pack(settler.orphanKeys)
        )
        try await context.failpoint.reach("shard.finish")
        let isLast = try await context.retrying("shard.finish") {
            try await store.finish(index, of: run, by: context.runID, result)
        }
        let summary = RunSummary(
            counts: counts,
            details: details,
            deadLetters: settler.tally.deadLetters,
            proof: proof
        )
        return (summary, isLast)
    }

    private func summaryOfDone() async throws -> RunSummary {
        guard let shard = try await store.shards(of: run).first(where: { $0.index == index }) else {
            throw TallyError(.notFound, during: "shard.read", "run \(run) has no shard \(index)")
        }
        let proof = shard.details["proof"]?.string.flatMap { Proof(rawValue: $0) } ?? .commandTags
        return RunSummary(counts: shard.counts, details: shard.details, deadLetters: shard.deadLetters, proof: proof)
    }

    /// Ends the whole run, unless another process is at it or has done it. What may pass leaves it open: this shard's
    /// next process ends it then.
    private func end(_ plan: ColumnPlan, _ context: RunContext) async throws {
        let closing = ShardClosing(job: whole, plan: plan, store: store, run: run, context: context)
        _ = try await context.endingWhole {
            do {
                guard let end = try await closing.end() else { return }
                let state: RunState = end.tally.deadLetters > 0 ? .partial : .succeeded
                let summary: JSONValue = [
                    "counts": .object(end.tally.counts.mapValues { .int($0) }), "details": end.details,
                    "proof": .string(end.proof.rawValue), "retries": .int(end.retries),
                ]
                try await context.retrying("shard.end") { _ = try await store.end(run, as: state, summary: summary) }
            } catch let error as TallyError where Self.isFinal(error) {
                try await context.retrying("shard.end") {
                    _ = try await store.end(run, as: .failed, summary: nil, error: RunError(error))
                }
                throw error
            }
        }
    }

    private static func isFinal(_ error: TallyError) -> Bool {
        error.kind.disposition != .retry && error.kind != .cancelled && error.kind != .leaseLost
    }
}
