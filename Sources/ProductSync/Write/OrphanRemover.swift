import Engine
import Postgres
import Runtime

/// Deletes or marks orphans after the whole of both sides was read, and only within the limit (INV-6).
struct OrphanRemover {
    let settings: ProductSyncSettings
    let plan: ColumnPlan

    /// What was looked at and what became of it.
    struct Removal {
        var deleted = 0
        var marked = 0
        /// Rows that were left: changed meanwhile, marked before, or with a document by now.
        var left = 0
        /// Those of them that were marked before.
        var markedBefore = 0
        /// Rows that somebody else had removed.
        var gone = 0
        /// Rows that the target refused to let go, and its first reason.
        var kept = 0
        var reason: String?
        /// Keys of what was deleted or marked.
        var keys = KeyHashes()

        /// For the run's errors; nothing where everything went.
        var warning: String? {
            reason.map { "\(kept) orphaned rows cannot be removed, the first of them: \($0)" }
        }
    }

    func run(_ settler: inout FindingsSettler, _ job: ProductSyncJob, _ context: RunContext) async throws {
        let removal = try await run(settler.orphanKeys, settler.tally, job, context)
        settler.noteRemoved(removal)
    }

    /// Removes the rows of `keys` that are still orphans; `tally` is of the whole run.
    func run(_ keys: [[UInt8]], _ tally: SyncTally, _ job: ProductSyncJob, _ context: RunContext) async throws
        -> Removal
    {
        guard settings.orphanPolicy != .report, tally.orphaned > 0 else { return Removal() }
        context.progress.stage("orphans")
        // INV-6: a short or empty read of the source never empties the target. The counts are of rows read, no
        // estimates; rows that an earlier run has marked are not among them.
        guard tally.source > 0, tally.orphaned * 100 <= tally.target * settings.deletePercentMax else {
            throw TallyError(
                .changeImplausible,
                during: "sync.orphans",
                "\(tally.orphaned) of \(tally.target) target rows have no document (source: \(tally.source)); "
                    + "the limit is \(settings.deletePercentMax) %",
                remedy: "Nothing was removed. Look at the source first; raise SYNC_MAX_DELETE_PERCENT if this is meant."
            )
        }
        let keyed = job.keyed(plan, context)
        let writer = job.writer(plan, context)
        let size = min(KeyedComparison.keysMax, max(1, context.options.batchSize ?? settings.batchSize))
        var removal = Removal()
        for start in stride(from: 0, to: keys.count, by: size) {
            let part = Array(keys[start..<min(keys.count, start + size)])
            let now = try await keyed.again(part)
            let before = removal.deleted + removal.marked + removal.kept
            try await remove(now.orphaned, writer, context, into: &removal)
            let treated = removal.deleted + removal.marked + removal.kept - before
            var there = now.orphaned.count + now.staleSource.count + now.unchanged + now.rejected.count
            if treated < now.orphaned.count {
                // Some of them somebody else removed between the look and the write.
                let left = part.filter { !removal.keys.contains($0) }
                there = try await keyed.target.rows(left).count + part.count - left.count
            }
            removal.gone += part.count - there
            removal.left += there - treated
        }
        return removal
    }

    /// One transaction for all of `rows`; where the target refuses one of them they are halved until it stands alone,
    /// and it stays (INV-5).
    private func remove(
        _ rows: RowBatch,
        _ writer: TargetWriter,
        _ context: RunContext,
        into removal: inout Removal
    ) async throws {
        guard !rows.isEmpty else { return }
        do {
            let done: Set<[UInt8]>
            if let column = plan.markColumn {
                let unmarked = rows.unmarked(column, plan)
                removal.markedBefore += rows.count - unmarked.count
                guard !unmarked.isEmpty else { return }
                done = try await context.retrying("target.mark") { try await writer.mark(unmarked, column: column) }
                removal.marked += done.count
            } else {
                done = try await context.retrying("target.delete") { try await writer.delete(rows) }
                removal.deleted += done.count
            }
            for key in done { removal.keys.insert(key) }
            context.progress.add(written: done.count)
        } catch let error as TallyError where error.kind.disposition == .quarantine {
            guard rows.count > 1 else {
                removal.kept += 1
                removal.reason = removal.reason ?? error.summary
                return
            }
            let half = rows.count / 2
            try await remove(rows.slice(0..<half), writer, context, into: &removal)
            try await remove(rows.slice(half..<rows.count), writer, context, into: &removal)
        }
    }
}
