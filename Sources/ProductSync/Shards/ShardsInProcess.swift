import Engine
import Postgres
import Runtime
import Synchronization

/// Carries out the shards of one run inside its own process, as many at once as there are connections for.
struct ShardsInProcess {
    let job: ProductSyncJob
    let plan: ColumnPlan
    let context: RunContext

    /// A shard at work holds two of the cart's sessions: one that streams, one that looks up and writes. Two more are
    /// left for whoever else uses the pool.
    static func width(shards: Int, connections: Int) -> Int { max(1, min(shards, (connections - 2) / 2)) }

    func run() async throws -> RunSummary {
        context.progress.stage("cut")
        guard !context.options.dryRun, let store = context.shards else { return try await compareOnly() }
        let (cut, count) = (job.cut(plan, context), job.settings.shards)
        try await context.retrying("shard.cut") {
            try await store.cut(
                context.runID,
                resuming: context.resumed,
                fits: { cut.fits($0, shards: count) },
                { try await cut.make(count) }
            )
        }
        let (pairing, shards) = try await context.retrying("shard.read") {
            (try await self.pairing(store), try await store.shards(of: context.runID))
        }
        let open = shards.filter { $0.state != .done }
        context.progress.stage("shards")
        try await noting(store) { progress in
            try await bounded(open) { shard in
                try await carryOut(shard, pairing, store, progress)
            }
        }
        let closing = ShardClosing(job: job, plan: plan, store: store, run: context.runID, context: context)
        guard let end = try await closing.end() else {
            throw TallyError(.leaseLost, during: "shard.end", "another process has ended run \(context.runID)")
        }
        SyncMetric.record(end.tally, dryRun: false)
        return RunSummary(
            counts: end.tally.counts,
            details: end.details,
            deadLetters: end.tally.deadLetters,
            proof: end.proof
        )
    }

    /// INV-10: a dry run keeps its cut to itself.
    private func compareOnly() async throws -> RunSummary {
        let cut = try await job.cut(plan, context).make(job.settings.shards)
        let pairing = SyncRange.Pairing(rawValue: cut.facts["pairing"]?.string ?? "") ?? .independent
        let ranges = try cut.shards.map { try SyncRange($0, pairing: pairing) }
        let tallies = Mutex<[Int: SyncTally]>([:])
        try await bounded(Array(ranges.enumerated())) { index, range in
            let (settler, _) = try await job.carryOut(plan, try await context.part(index), range: range)
            tallies.withLock { $0[index] = settler.tally }
        }
        var tally = SyncTally()
        for (_, one) in tallies.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            tally.add(counts: one.counts, details: one.details)
        }
        SyncMetric.record(tally, dryRun: true)
        return RunSummary(
            counts: tally.counts,
            details: tally.details,
            deadLetters: tally.deadLetters,
            proof: .compareOnly
        )
    }

    private func pairing(_ store: ShardStore) async throws -> SyncRange.Pairing {
        let facts = try await store.facts(of: context.runID)
        return SyncRange.Pairing(rawValue: facts?["pairing"]?.string ?? "") ?? .independent
    }

    private func carryOut(
        _ shard: ShardRecord,
        _ pairing: SyncRange.Pairing,
        _ store: ShardStore,
        _ progress: ShardProgress
    ) async throws {
        let part = try await context.part(shard.index)
        progress.begin(shard.index, part.progress)
        let taken = try await context.retrying("shard.take") {
            try await store.take(shard.index, of: context.runID, by: nil, fence: part.fence)
        }
        guard case .open(let bounds) = taken else { return }
        let (settler, proof) = try await job.carryOut(plan, part, range: try SyncRange(bounds, pairing: pairing))
        let (counts, details) = settler.tally.summary(proof)
        let result = ShardResult(
            counts: counts,
            details: details,
            deadLetters: settler.tally.deadLetters,
            remainder: OrphanKeys.pack(settler.orphanKeys)
        )
        try await context.retrying("shard.finish") {
            try await store.note([shard.index: part.progress.snapshot.json], of: context.runID)
            _ = try await store.finish(shard.index, of: context.runID, by: nil, result)
        }
        progress.end(shard.index)
    }

    private func bounded<Element: Sendable>(
        _ elements: [Element],
        _ body: @escaping @Sendable (Element) async throws -> Void
    ) async throws {
        let width = Self.width(shards: elements.count, connections: job.cart.maxConnections)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, element) in elements.enumerated() {
                if index >= width { try await group.next() }
                group.addTask { try await body(element) }
            }
            try await group.waitForAll()
        }
    }

    /// Runs `body` and stores, each second, how far the shards at work are.
    private func noting(_ store: ShardStore, _ body: (ShardProgress) async throws -> Void) async throws {
        let progress = ShardProgress()
        let run = context.runID
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while !Task.isCancelled {
                    do { try await Task.sleep(for: .seconds(1)) } catch { return }
                    // Only for people: a state database that is away for a moment stops no shard.
                    try? await store.note(progress.snapshots, of: run)
                }
            }
            defer { group.cancelAll() }
            try await body(progress)
        }
    }
}

/// The progress of the shards that are at work.
private final class ShardProgress: Sendable {
    private let working = Mutex<[Int: Progress]>([:])

    func begin(_ shard: Int, _ progress: Progress) { working.withLock { $0[shard] = progress } }
    func end(_ shard: Int) { _ = working.withLock { $0.removeValue(forKey: shard) } }
    var snapshots: [Int: JSONValue] { working.withLock { $0.mapValues { $0.snapshot.json } } }
}
