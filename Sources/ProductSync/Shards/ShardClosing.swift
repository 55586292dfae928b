import Engine
import Runtime

/// Ends a run in shards once all of them are done: removes orphans by the numbers of the whole, counts once more.
///
/// Doing it again is harmless: a closing that was interrupted is done anew by whoever comes next.
struct ShardClosing {
    let job: ProductSyncJob
    let plan: ColumnPlan
    let store: ShardStore
    let run: RunID
    let context: RunContext

    struct End {
        let tally: SyncTally
        let proof: Proof
        let details: JSONValue
        let retries: Int
    }

    /// nil when somebody else has ended the run.
    func end() async throws -> End? {
        let shards = try await context.retrying("shard.read") { try await store.shards(of: run) }
        var tally = SyncTally()
        for shard in shards { tally.add(counts: shard.counts, details: shard.details) }
        if !tally.mergedStreams { tally.target = tally.found }
        try await context.failpoint.reach("shard.close")
        // Each process has counted its own only.
        guard tally.deadLetters <= DeadLetterSink.runMax else { throw DeadLetterSink.tooMany }
        guard let isAgain = try await context.retrying("shard.end", { try await store.beginClosing(run) }) else {
            return nil
        }
        let absent = try await removeOrphans(&tally, isAgain: isAgain)
        context.progress.stage("count")
        var final = try await count(shards, tally, absent: absent)
        if !final.agrees {
            // Some servers count a range wrongly (a stand-in for MongoDB that ignores it, chunks that are moving).
            context.progress.stage("count again")
            let source = SourceReader(pool: job.mongo, plan: plan, context: context)
            final = final.recounted(source: try await source.countByReading())
        }
        try final.check()
        // Shards that another run of this process has done left their letters under that run's name.
        if context.resumed == nil {
            try await job.closeLetters(unseenBy: [run] + shards.compactMap(\.run), tally, plan, context)
        }
        let isFull = shards.allSatisfy { $0.details["proof"]?.string == Proof.fullCompare.rawValue }
        var details = tally.details.object ?? [:]
        details["finalCount"] = final.json
        details["shards"] = .int(shards.count)
        return End(
            tally: tally,
            proof: isFull ? .fullCompare : .commandTags,
            details: .object(details),
            retries: shards.reduce(0) { $0 + ($1.progress?["retries"]?.int ?? 0) }
        )
    }

    /// Removes what the shards found, at most as many as one run may; how many of them the target no longer has.
    ///
    /// INV-6: the limit is of the whole, which only its end knows. `isAgain`: what is gone or marked already, an
    /// earlier closing of this run has removed.
    private func removeOrphans(_ tally: inout SyncTally, isAgain: Bool) async throws -> Int {
        guard job.settings.orphanPolicy != .report, tally.orphaned > 0 else { return 0 }
        let keys = try await orphanKeys(&tally)
        let remover = OrphanRemover(settings: job.settings, plan: plan)
        var removed = KeyHashes()
        var before: Int?
        var last = OrphanRemover.Removal()
        var losses = -1
        for _ in 0..<3 where context.targetLosses != losses {
            // Asynchronous commits before a lost connection may be forgotten: then it is done once more.
            losses = context.targetLosses
            last = try await remover.run(keys, tally, job, context)
            try await job.writer(plan, context).makeDurable()
            removed.formUnion(last.keys)
            before = before ?? (isAgain ? last.gone + last.markedBefore : 0)
        }
        guard context.targetLosses == losses else { throw ProductSyncJob.lostAgain }
        let count = removed.count + (before ?? 0)
        if plan.markColumn == nil { tally.deleted += count } else { tally.marked += count }
        tally.orphansKept = last.kept
        tally.warnings += last.warning.map { [$0] } ?? []
        tally.changedMeanwhile += max(0, keys.count - count - last.kept)
        return last.deleted + last.gone
    }

    private func orphanKeys(_ tally: inout SyncTally) async throws -> [[UInt8]] {
        var keys: [[UInt8]] = []
        let remainders = try await context.retrying("shard.read") {
            try await store.remainders(of: run, bytesMax: Self.keysBytesMax)
        }
        for remainder in remainders {
            let found = OrphanKeys.unpack(remainder)
            let taken = found.prefix(FindingsSettler.orphanKeysMax - keys.count)
            keys += taken
            tally.orphansDeferred += found.count - taken.count
        }
        return keys
    }

    /// Bytes of keys that are held at once.
    private static let keysBytesMax = 64 << 20

    /// Counts both sides as they are now, one range at a time: a count of everything would outlast the source's
    /// patience with one answer, and the run's with a stage that does not move.
    private func count(_ shards: [ShardRecord], _ tally: SyncTally, absent: Int) async throws -> FinalCount {
        let ranges = try shards.map { try SyncRange($0.bounds, pairing: .independent) }
        guard SideRange.areWhole(ranges.map(\.source)), SideRange.areWhole(ranges.map(\.target)) else {
            throw TallyError(
                .proofFailed,
                during: "sync.finalCount",
                "the ranges of run \(run) leave something out or overlap",
                remedy: "Somebody changed etl.shards. Begin a new run."
            )
        }
        var source = 0
        var target = 0
        for range in ranges {
            source += try await SourceReader(pool: job.mongo, plan: plan, context: context, range: range.source).count()
            target += try await TargetReader(pool: job.cart, plan: plan, context: context, range: range.target).count()
            context.progress.touch()
        }
        return FinalCount(
            expectedSource: tally.source,
            countedSource: source,
            expectedTarget: tally.target + tally.inserted - absent,
            countedTarget: target,
            shards: shards.count,
            unsettled: tally.mergedStreams ? 0 : tally.deadLetters + tally.changedMeanwhile
        )
    }
}
