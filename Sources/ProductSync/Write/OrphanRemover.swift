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
        /// Rows that somebody else had removed.
        var gone = 0
    }

    func run(_ settler: inout FindingsSettler, _ job: ProductSyncJob, _ context: RunContext) async throws {
        let removal = try await run(settler.orphanKeys, settler.tally, job, context)
        settler.noteRemoved(deleted: removal.deleted, marked: removal.marked, changed: removal.left + removal.gone)
    }

    /// Removes the rows of `keys` that are still orphans; `tally` is of the whole run.
    func run(_ keys: [[UInt8]], _ tally: SyncTally, _ job: ProductSyncJob, _ context: RunContext) async throws
        -> Removal
    {
        guard settings.orphanPolicy != .report, tally.orphaned > 0 else { return Removal() }
        context.progress.stage("orphans")
        // INV-6: a short or empty read of the source never empties the target. The counts are of rows read, no
        // estimates.
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
            let removed = try await remove(now.orphaned, writer, context)
            removal.deleted += removed.deleted
            removal.marked += removed.marked
            let there = now.orphaned.count + now.staleSource.count + now.unchanged + now.rejected.count
            removal.gone += part.count - there
            removal.left += there - now.orphaned.count + removed.skipped
            context.progress.add(written: removed.deleted + removed.marked)
        }
        return removal
    }

    private struct Removed {
        var deleted = 0
        var marked = 0
        /// Rows that changed between the last look and the statement, or cannot be removed.
        var skipped = 0
    }

    private func remove(_ rows: RowBatch, _ writer: TargetWriter, _ context: RunContext) async throws -> Removed {
        guard !rows.isEmpty else { return Removed() }
        if let column = plan.markColumn {
            let unmarked = unmarked(rows, column)
            guard !unmarked.isEmpty else { return Removed() }
            let marked = try await context.retrying("target.mark") { try await writer.mark(unmarked, column: column) }
            return Removed(marked: marked.count, skipped: unmarked.count - marked.count)
        }
        let deleted = try await context.retrying("target.delete") { try await writer.delete(rows) }
        return Removed(deleted: deleted.count, skipped: rows.count - deleted.count)
    }

    private func unmarked(_ rows: RowBatch, _ column: Int) -> RowBatch {
        var unmarked = RowBatch()
        for row in 0..<rows.count {
            let fields = RowImage.fields(rows.bytes.span, rows.range(row))
            guard column < fields.count else { continue }
            let isMarked =
                switch (plan.columns[column].type, fields[column]) {
                case (_, nil): false
                case (.bool, let field?): rows.bytes[field.lowerBound] != 0
                case (_, _?): true
                }
            if !isMarked { unmarked.append(rows.image(row)) }
        }
        return unmarked
    }
}
