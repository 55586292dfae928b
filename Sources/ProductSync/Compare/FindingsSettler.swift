import Engine
import Postgres
import Runtime

/// Settles findings one stretch after the other: looks again at what differs, counts it, repairs it, keeps dead
/// letters.
///
/// Owned by the one task that consumes findings.
struct FindingsSettler {
    enum Mode: Equatable {
        /// Nothing is written: dry run and validation.
        case report
        case repair
    }

    let mode: Mode
    let plan: ColumnPlan
    let keyed: KeyedComparison
    let writer: TargetWriter
    let lanes: WriteLanes
    /// Writes that were begun and not yet counted.
    var underWay = 0
    let context: RunContext
    let batchSize: Int
    let orphanPolicy: OrphanPolicy
    var tally = SyncTally()
    /// What this pass settled about single keys.
    var settled = SettledKeys()
    /// The keys that the passes before settled; only in the pass that proves them.
    let proving: SettledKeys?
    private(set) var unproved = Unproved()
    /// Open dead letters: a document that failed before with these very values is not "missing" or "stale" again.
    let open: [String: [UInt8]]
    private(set) var orphanKeys: [[UInt8]] = []

    /// Orphans kept for deletion or marking in one run; the rest waits for the next.
    static let orphanKeysMax = 100_000

    init(
        mode: Mode,
        plan: ColumnPlan,
        keyed: KeyedComparison,
        writer: TargetWriter,
        context: RunContext,
        batchSize: Int,
        lanes: Int,
        orphanPolicy: OrphanPolicy,
        open: [String: [UInt8]],
        proving: SettledKeys? = nil
    ) {
        self.mode = mode
        self.plan = plan
        self.keyed = keyed
        self.writer = writer
        self.lanes = WriteLanes(width: lanes, writer: writer)
        self.context = context
        self.batchSize = batchSize
        self.orphanPolicy = orphanPolicy
        self.open = open
        self.proving = proving
    }

    mutating func settle(_ findings: Findings) async throws {
        tally.unchanged += findings.unchanged
        tally.orphaned += findings.keyless
        try await resolve(findings.unchangedKeys.map { plan.key.text($0) })
        try await quarantine(findings.rejected)
        let orphaned = withoutMarked(findings.orphaned)
        guard mode == .repair else { return try await look(again: findings.missing, findings.staleSource, orphaned) }
        try await repairMissing(findings.missing)
        if findings.mayBeOutrun {
            try await repairOutrun(findings.staleSource, findings.staleTarget)
        } else {
            try await settleStale(findings.staleSource, findings.staleTarget)
        }
        try await look(again: RowBatch(), RowBatch(), orphaned)
    }

    /// A difference is believed only when it is still there on a second look at both sides.
    private mutating func look(again missing: RowBatch, _ stale: RowBatch, _ orphaned: RowBatch) async throws {
        let keys = [missing, stale, orphaned].flatMap(\.keys)
        guard !keys.isEmpty else { return }
        let now = try await keyed.again(keys)
        tally.unchanged += now.unchanged
        try await quarantine(now.rejected)
        if mode == .report {
            noteMissing(try without(known: now.missing))
        } else {
            try await repairMissing(now.missing)
        }
        try await settleStale(now.staleSource, now.staleTarget)
        noteOrphans(withoutMarked(now.orphaned))
    }

    /// Reads the documents once more, behind the rows they are to replace. The rows need no second look: only one that
    /// still is what was read is written over (INV-9).
    private mutating func repairOutrun(_ source: RowBatch, _ target: RowBatch) async throws {
        guard !source.isEmpty else { return }
        let now = try await keyed.sourceAgain(source, beside: target)
        tally.unchanged += now.unchanged
        try await quarantine(now.rejected)
        try await settleStale(now.staleSource, now.staleTarget)
        noteOrphans(withoutMarked(now.orphaned))
    }

    // MARK: Missing

    private mutating func noteMissing(_ rows: RowBatch) {
        tally.missing += rows.count
        for row in 0..<rows.count where tally.missingIDs.count < SyncTally.idsMax {
            tally.missingIDs.append(plan.key.text(rows.key(row)))
        }
        guard proving != nil else { return }
        for row in 0..<rows.count where doubts(rows.key(row)) { unproved.missing += 1 }
    }

    /// Whether a difference at this key refutes the proof; the key is kept then.
    @discardableResult
    mutating func doubts(_ key: ArraySlice<UInt8>) -> Bool {
        guard let proving else { return false }
        let key = Array(key)
        guard !proving.excused.contains(key) else { return false }
        if unproved.keys.count < Unproved.keysMax { unproved.keys.append(key) }
        return true
    }

    /// Rows that are not open dead letters with the same values; those are counted as dead letters.
    private mutating func without(known rows: RowBatch) throws -> RowBatch {
        guard !open.isEmpty else { return rows }
        var fresh = RowBatch()
        for row in 0..<rows.count {
            if isKnownDeadLetter(rows, row) {
                try countDeadLetters([plan.key.text(rows.key(row))])
            } else {
                fresh.append(rows.image(row))
            }
        }
        return fresh
    }

    private func isKnownDeadLetter(_ rows: RowBatch, _ row: Int) -> Bool {
        guard let fingerprint = openLetter(rows.key(row)) else { return false }
        return fingerprint == Self.fingerprint(rows.image(row))
    }

    private mutating func repairMissing(_ rows: RowBatch) async throws {
        guard !rows.isEmpty else { return }
        guard !open.isEmpty else {
            noteMissing(rows)
            return try await begin(.insert(rows), counted: true)
        }
        var fresh = RowBatch()
        var known = RowBatch()
        for row in 0..<rows.count {
            if isKnownDeadLetter(rows, row) {
                known.append(rows.image(row))
            } else {
                fresh.append(rows.image(row))
            }
        }
        noteMissing(fresh)
        try await begin(.insert(fresh), counted: true)
        try await begin(.insert(known), counted: false)
    }

    // MARK: Stale

    mutating func settleStale(_ source: RowBatch, _ target: RowBatch) async throws {
        var fresh = (ours: RowBatch(), theirs: RowBatch())
        // Tried apart from the others, which they would only hold up, and stale only once they are well.
        var known = (ours: RowBatch(), theirs: RowBatch())
        for row in 0..<source.count {
            if isNewer(target, row, than: source) {
                tally.newerInTarget += 1
            } else if !open.isEmpty, isKnownDeadLetter(source, row) {
                if mode == .report {
                    try countDeadLetters([plan.key.text(source.key(row))])
                } else {
                    known.ours.append(source.image(row))
                    known.theirs.append(target.image(row))
                }
            } else {
                noteStale(source, target, row)
                fresh.ours.append(source.image(row))
                fresh.theirs.append(target.image(row))
            }
        }
        guard mode == .repair else { return }
        try await begin(.update(fresh.ours, replacing: fresh.theirs), counted: true)
        try await begin(.update(known.ours, replacing: known.theirs), counted: false)
    }

    private mutating func noteStale(_ source: RowBatch, _ target: RowBatch, _ row: Int) {
        tally.stale += 1
        if doubts(source.key(row)) { unproved.stale += 1 }
        guard tally.staleRows.count < SyncTally.idsMax else { return }
        let columns = ImageComparison.differingColumns(
            source.bytes.span,
            source.range(row),
            target.bytes.span,
            target.range(row),
            plan: plan
        )
        tally.staleRows.append(
            .init(id: plan.key.text(source.key(row)), columns: columns.map { plan.columns[$0].name })
        )
    }

    /// INV-9: by version where the mapping names one.
    func isNewer(_ target: RowBatch, _ row: Int, than source: RowBatch) -> Bool {
        guard let version = plan.versionColumn else { return false }
        return ImageComparison.isGreater(
            target.bytes.span,
            target.range(row),
            source.bytes.span,
            source.range(row),
            column: version,
            type: plan.columns[version].type
        )
    }

    // MARK: Orphans

    /// Rows that an earlier run has marked are settled: they are counted, and nothing else is done about them.
    mutating func withoutMarked(_ rows: RowBatch) -> RowBatch {
        guard let mark = plan.markColumn, !rows.isEmpty else { return rows }
        let unmarked = rows.unmarked(mark, plan)
        tally.orphansMarkedBefore += rows.count - unmarked.count
        return unmarked
    }

    mutating func noteOrphans(_ rows: RowBatch) {
        tally.orphaned += rows.count
        for row in 0..<rows.count {
            if let proving, proving.removed.contains(Array(rows.key(row))) { unproved.orphaned += 1 }
            if tally.orphanedIDs.count < SyncTally.idsMax { tally.orphanedIDs.append(plan.key.text(rows.key(row))) }
            guard orphanPolicy != .report, mode == .repair else { continue }
            if orphanKeys.count < Self.orphanKeysMax {
                orphanKeys.append(Array(rows.key(row)))
            } else {
                tally.orphansDeferred += 1
            }
        }
    }

    mutating func noteTotals(_ totals: Comparison.Totals) {
        tally.source = totals.source
        tally.target = totals.target
        tally.mergedStreams = totals.mergedStreams
    }

    mutating func noteRemoved(_ removal: OrphanRemover.Removal) {
        tally.deleted += removal.deleted
        tally.marked += removal.marked
        tally.orphansKept += removal.kept
        tally.changedMeanwhile += removal.left + removal.gone
        if let warning = removal.warning { tally.warnings.append(warning) }
        settled.removed.formUnion(removal.keys)
    }

    /// Adds a later pass of the same run, which repaired some keys once more.
    mutating func merge(some again: FindingsSettler) {
        settled.excused.formUnion(again.settled.excused)
        tally.add(some: again.tally)
    }

    /// Adds a later pass of the same run, which looked at everything once more.
    mutating func merge(again: FindingsSettler) {
        let twice = settled.removed.count + again.settled.removed.count
        settled.removed.formUnion(again.settled.removed)
        settled.excused.formUnion(again.settled.excused)
        tally.add(again: again.tally, removedTwice: twice - settled.removed.count)
    }
}
