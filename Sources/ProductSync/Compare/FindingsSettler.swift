import Crypto
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
    let inserter: RowInserter
    let context: RunContext
    let batchSize: Int
    let orphanPolicy: OrphanPolicy
    private(set) var tally = SyncTally()
    /// Open dead letters: a document that failed before with these very values is not "missing" or "stale" again.
    private let open: [String: [UInt8]]
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
        orphanPolicy: OrphanPolicy,
        open: [String: [UInt8]]
    ) {
        self.mode = mode
        self.plan = plan
        self.keyed = keyed
        self.writer = writer
        self.inserter = RowInserter(writer: writer, context: context)
        self.context = context
        self.batchSize = batchSize
        self.orphanPolicy = orphanPolicy
        self.open = open
    }

    mutating func settle(_ findings: Findings) async throws {
        tally.unchanged += findings.unchanged
        try await resolve(findings.unchangedKeys.map { plan.key.text($0) })
        try await quarantine(findings.rejected)
        if mode == .report {
            try await look(again: findings.missing, findings.staleSource, findings.orphaned)
        } else {
            if !findings.missing.isEmpty { try await repairMissing(findings.missing) }
            try await look(again: RowBatch(), findings.staleSource, findings.orphaned)
        }
    }

    mutating func addUnkeyable(_ unkeyable: [SourcePage.Unkeyable]) async throws {
        guard !unkeyable.isEmpty else { return }
        tally.deadLetters += unkeyable.count
        guard mode == .repair else { return }
        try await context.deadLetters.record(
            unkeyable.map {
                DeadLetter(
                    key: $0.identifier,
                    reason: $0.rejection.reason.words,
                    kind: $0.rejection.reason.rawValue,
                    columns: [plan.columns[0].name],
                    fingerprint: nil
                )
            },
            in: nil
        )
    }

    /// A difference is believed only when it is still there on a second look at both sides.
    private mutating func look(again missing: RowBatch, _ stale: RowBatch, _ orphaned: RowBatch) async throws {
        var keys: [[UInt8]] = []
        for batch in [missing, stale, orphaned] {
            for row in 0..<batch.count { keys.append(Array(batch.key(row))) }
        }
        guard !keys.isEmpty else { return }
        let now = try await keyed.again(keys)
        tally.unchanged += now.unchanged
        try await quarantine(now.rejected)
        if mode == .report {
            noteMissing(without(known: now.missing))
        } else if !now.missing.isEmpty {
            try await repairMissing(now.missing)
        }
        try await settleStale(now.staleSource, now.staleTarget)
        noteOrphans(now.orphaned)
    }

    // MARK: Missing

    private mutating func noteMissing(_ rows: RowBatch) {
        tally.missing += rows.count
        for row in 0..<rows.count where tally.missingIDs.count < SyncTally.idsMax {
            tally.missingIDs.append(plan.key.text(rows.key(row)))
        }
    }

    /// Rows that are not open dead letters with the same values; those are counted as dead letters.
    private mutating func without(known rows: RowBatch) -> RowBatch {
        guard !open.isEmpty else { return rows }
        var fresh = RowBatch()
        for row in 0..<rows.count {
            if isKnownDeadLetter(rows, row) { tally.deadLetters += 1 } else { fresh.append(rows.image(row)) }
        }
        return fresh
    }

    private func isKnownDeadLetter(_ rows: RowBatch, _ row: Int) -> Bool {
        guard let fingerprint = open[plan.key.text(rows.key(row))] else { return false }
        return fingerprint == Self.fingerprint(rows.image(row))
    }

    static func fingerprint(_ image: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: image)) }

    private mutating func repairMissing(_ rows: RowBatch) async throws {
        guard !open.isEmpty else {
            noteMissing(rows)
            return try await insert(rows, counted: true)
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
        try await insert(fresh, counted: true)
        if !known.isEmpty { try await insert(known, counted: false) }
    }

    private mutating func insert(_ rows: RowBatch, counted: Bool) async throws {
        guard !rows.isEmpty else { return }
        let outcome = try await inserter.insert(rows)
        tally.batches += (rows.count + batchSize - 1) / batchSize
        tally.inserted += outcome.insertedCount
        if !counted { tally.missing += outcome.insertedCount }
        context.progress.add(written: outcome.insertedCount)
        try await quarantine(refused: outcome.refused)
        try await resolve(insertedAmong: rows, outcome)
        guard !outcome.conflicting.isEmpty else { return }
        let now = try await keyed.again(outcome.conflicting)
        if outcome.uncertain {
            tally.inserted += now.unchanged
        } else {
            tally.unchanged += now.unchanged
            if counted { tally.missing -= outcome.conflicting.count }
        }
        try await settleStale(now.staleSource, now.staleTarget)
        tally.changedMeanwhile += now.missing.count + now.orphaned.count
    }

    private mutating func resolve(insertedAmong rows: RowBatch, _ outcome: RowInserter.Outcome) async throws {
        guard !open.isEmpty else { return }
        let left = Set(outcome.refused.map { plan.key.text($0.row[RowImage.key($0.row.span, at: 0)]) })
        try await resolve((0..<rows.count).map { plan.key.text(rows.key($0)) }.filter { !left.contains($0) })
    }

    // MARK: Stale

    private mutating func settleStale(_ source: RowBatch, _ target: RowBatch) async throws {
        var ours = RowBatch()
        var theirs = RowBatch()
        for row in 0..<source.count {
            if !open.isEmpty, isKnownDeadLetter(source, row), mode == .report {
                tally.deadLetters += 1
            } else if isNewer(target, row, than: source) {
                tally.newerInTarget += 1
            } else {
                noteStale(source, target, row)
                ours.append(source.image(row))
                theirs.append(target.image(row))
            }
        }
        guard mode == .repair else { return }
        for start in stride(from: 0, to: ours.count, by: max(1, batchSize)) {
            let part = start..<min(ours.count, start + max(1, batchSize))
            try await update(ours.slice(part), theirs.slice(part))
        }
    }

    private mutating func noteStale(_ source: RowBatch, _ target: RowBatch, _ row: Int) {
        tally.stale += 1
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
    private func isNewer(_ target: RowBatch, _ row: Int, than source: RowBatch) -> Bool {
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

    private mutating func update(_ source: RowBatch, _ target: RowBatch) async throws {
        do {
            let updated = try await context.retrying("target.update") {
                try await writer.update(source, replacing: target)
            }
            tally.batches += 1
            tally.updated += updated.count
            context.progress.add(written: updated.count)
            try await resolve(updated.map { plan.key.text($0) })
            // Not updated: the row is no longer what it was compared with, so it is left alone and counted.
            tally.changedMeanwhile += source.count - updated.count
        } catch let error as TallyError where error.kind.disposition == .quarantine {
            guard source.count > 1 else {
                try await quarantine(refused: [(source.image(0), error)])
                return
            }
            let half = source.count / 2
            try await update(source.slice(0..<half), target.slice(0..<half))
            try await update(source.slice(half..<source.count), target.slice(half..<source.count))
        }
    }

    // MARK: Orphans

    private mutating func noteOrphans(_ rows: RowBatch) {
        tally.orphaned += rows.count
        for row in 0..<rows.count {
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

    mutating func noteRemoved(deleted: Int, marked: Int, changed: Int) {
        tally.deleted += deleted
        tally.marked += marked
        tally.changedMeanwhile += changed
    }

    // MARK: Dead letters

    private mutating func quarantine(_ rejected: [Findings.Rejected]) async throws {
        guard !rejected.isEmpty else { return }
        tally.deadLetters += rejected.count
        guard mode == .repair else { return }
        let payloads = try await payloads(rejected.map(\.key))
        let letters = rejected.map { one in
            DeadLetter(
                key: plan.key.text(one.key[...]),
                reason: one.rejection.reason.words,
                kind: one.rejection.reason.rawValue,
                columns: [plan.columns[one.rejection.column].name],
                fingerprint: nil,
                payload: payloads[one.key]
            )
        }
        try await context.deadLetters.record(letters, in: nil)
    }

    private mutating func quarantine(refused: [(row: [UInt8], error: TallyError)]) async throws {
        guard !refused.isEmpty else { return }
        tally.deadLetters += refused.count
        let payloads = try await payloads(refused.map { Array($0.row[RowImage.key($0.row.span, at: 0)]) })
        let letters = refused.map { row, error in
            let key = row[RowImage.key(row.span, at: 0)]
            return DeadLetter(
                key: plan.key.text(key),
                reason: error.summary,
                kind: error.serverError?.sqlState ?? error.kind.rawValue,
                columns: error.serverError?.columnName.map { [$0] } ?? [],
                fingerprint: Self.fingerprint(row),
                payload: payloads[Array(key)]
            )
        }
        try await context.deadLetters.record(letters, in: nil)
    }

    /// The records themselves, where dead letters keep them; nothing is read otherwise.
    private func payloads(_ keys: [[UInt8]]) async throws -> [[UInt8]: JSONValue] {
        context.deadLetters.keepsPayloads ? try await keyed.payloads(keys) : [:]
    }

    private func resolve(_ keys: [String]) async throws {
        guard mode == .repair, !open.isEmpty else { return }
        let healed = keys.filter { open[$0] != nil }
        if !healed.isEmpty { try await context.deadLetters.resolve(keys: healed, in: nil) }
    }
}
