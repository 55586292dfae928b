package import Runtime

/// What a run counted, and the first ids of each kind.
package struct SyncTally: Sendable {
    /// Ids kept of each kind, for answers.
    package static let idsMax = 100

    package struct Stale: Sendable, Equatable {
        package let id: String
        package let columns: [String]
    }

    package var source = 0
    package var target = 0
    package var missing = 0
    package var stale = 0
    package var orphaned = 0
    package var unchanged = 0
    package var inserted = 0
    package var updated = 0
    package var deleted = 0
    package var marked = 0
    package var newerInTarget = 0
    package var changedMeanwhile = 0
    package var deadLetters = 0
    package var batches = 0
    package var orphansDeferred = 0
    /// Orphans that an earlier run has marked: settled, so counted here and not as orphaned.
    package var orphansMarkedBefore = 0
    /// Orphans that the target refused to let go, a row of another table needs them.
    package var orphansKept = 0
    /// Rows that a later look of the same run, after a lost connection or to verify, had to write again.
    package var writtenAgain = 0
    package var missingIDs: [String] = []
    package var orphanedIDs: [String] = []
    package var staleRows: [Stale] = []
    package var warnings: [String] = []
    package var mergedStreams = true

    package init() {}

    /// Rows that were there before this run, as far as they were compared: all but those of documents that cannot
    /// become a row.
    ///
    /// What a range of the target held says less where the sides share no order: other shards add to it meanwhile.
    package var found: Int { unchanged + stale + newerInTarget + orphaned + orphansMarkedBefore }

    /// Adds a later pass of the same run over the same rows.
    ///
    /// What both sides held stays as the first pass found it. What the server had forgotten and got once more is
    /// counted apart, so that no product counts as synced twice; `removedTwice` orphans were removed in both passes.
    mutating func add(again: SyncTally, removedTwice: Int) {
        writtenAgain += again.inserted + again.updated
        deleted += max(0, again.deleted - removedTwice)
        marked += max(0, again.marked - removedTwice)
        newerInTarget = max(newerInTarget, again.newerInTarget)
        changedMeanwhile += again.changedMeanwhile
        // It has seen every bad record that is left, and those that became bad since.
        deadLetters = max(deadLetters, again.deadLetters)
        batches += again.batches
        orphansKept = max(orphansKept, again.orphansKept)
        orphansDeferred = again.orphansDeferred
        if warnings.isEmpty { warnings = again.warnings }
    }

    /// Adds a later pass of the same run over some rows, which were found to differ when all was compared again.
    mutating func add(some again: SyncTally) {
        writtenAgain += again.inserted + again.updated
        newerInTarget += again.newerInTarget
        changedMeanwhile += again.changedMeanwhile
        deadLetters += again.deadLetters
        batches += again.batches
    }

    /// Keys of the result; the same in the ledger, over HTTP and on the command line.
    package var counts: [String: Int] {
        [
            "totalProductsInSource": source, "totalProductsInTarget": target, "missingProducts": missing,
            "staleProducts": stale, "orphanedProducts": orphaned, "unchangedProducts": unchanged,
            "syncedProducts": inserted + updated, "insertedProducts": inserted, "updatedProducts": updated,
            "deletedProducts": deleted, "markedProducts": marked, "newerInTarget": newerInTarget,
            "changedMeanwhile": changedMeanwhile, "deadLetters": deadLetters, "batches": batches,
            "orphansDeferred": orphansDeferred, "orphansMarkedBefore": orphansMarkedBefore, "orphansKept": orphansKept,
            "writtenAgain": writtenAgain,
        ]
    }

    package var details: JSONValue {
        [
            "missingProductIds": .array(missingIDs.map { .string($0) }),
            "extraProductIds": .array(orphanedIDs.map { .string($0) }),
            "staleProducts": .array(
                staleRows.map { ["id": .string($0.id), "columns": .array($0.columns.map { .string($0) })] }
            ),
            "truncated": .bool(missing > missingIDs.count || orphaned > orphanedIDs.count || stale > staleRows.count),
            "idsMax": .int(Self.idsMax),
            "compare": .string(mergedStreams ? "merge" : "lookup"),
            "errors": .array(warnings.map { .string($0) }),
        ]
    }
}
