import Engine
import Postgres
import Runtime

/// What is repaired goes to the lanes; what that came to is counted here, by the one task that settles.
extension FindingsSettler {
    /// Hands rows over, one transaction for all of them; waits while every lane has some.
    ///
    /// `counted`: the rows are among the missing or stale ones already.
    mutating func begin(_ work: WriteLanes.Work, counted: Bool) async throws {
        guard work.rows.count > 0 else { return }
        if underWay == lanes.width { try await countWrite() }
        try await lanes.begin(WriteLanes.Order(work: work, counted: counted))
        underWay += 1
    }

    /// Waits for the writes that are under way; to be called once, behind the last findings.
    mutating func settleWrites() async throws {
        while underWay > 0 { try await countWrite() }
        lanes.end()
    }

    private mutating func countWrite() async throws {
        let (order, outcome) = try await lanes.next()
        underWay -= 1
        let rows = order.work.rows
        tally.batches += (rows.count + batchSize - 1) / batchSize
        switch outcome {
        case .inserted(let outcome): try await note(outcome, of: rows, counted: order.counted)
        case .updated(let outcome): try await note(outcome, of: rows, counted: order.counted)
        }
    }

    private mutating func note(_ outcome: RowInserter.Outcome, of rows: RowBatch, counted: Bool) async throws {
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
        try await quarantine(now.rejected)
        try await settleStale(now.staleSource, now.staleTarget)
        excuse(now.missing)
        excuse(now.orphaned)
    }

    private mutating func resolve(insertedAmong rows: RowBatch, _ outcome: RowInserter.Outcome) async throws {
        guard !open.isEmpty else { return }
        let left = Set(outcome.refused.map { plan.key.text($0.row[RowImage.key($0.row.span, at: 0)]) })
        try await resolve(rows.keys.map { plan.key.text($0) }.filter { !left.contains($0) })
    }

    private mutating func note(_ outcome: RowUpdater.Outcome, of rows: RowBatch, counted: Bool) async throws {
        tally.updated += outcome.updated.count
        if !counted { tally.stale += outcome.updated.count }
        context.progress.add(written: outcome.updated.count)
        try await quarantine(refused: outcome.refused)
        try await resolve(outcome.updated.map { plan.key.text($0) })
        let refused = Set(outcome.refused.map { Array($0.row[RowImage.key($0.row.span, at: 0)]) })
        let left = rows.keys.filter { !outcome.updated.contains($0) && !refused.contains($0) }
        if !left.isEmpty { try await noteLeft(left, uncertain: outcome.uncertain, counted: counted) }
    }

    /// Rows that are no longer what they were compared with (INV-11: the writer has made sure of it) are left alone,
    /// unless they have become what they should be, or their documents what no row can be.
    private mutating func noteLeft(_ keys: [[UInt8]], uncertain: Bool, counted: Bool) async throws {
        let now = try await keyed.again(keys)
        if uncertain {
            tally.updated += now.unchanged
            if !counted { tally.stale += now.unchanged }
        } else {
            tally.unchanged += now.unchanged
            if counted { tally.stale -= now.unchanged }
        }
        try await quarantine(now.rejected)
        if counted { tally.stale -= now.rejected.count }
        let settled = Set(now.unchangedKeys + now.rejected.map(\.key))
        for key in keys where !settled.contains(key) { excuse(key) }
    }

    /// Counts rows that changed between the look and the write, and remembers which.
    private mutating func excuse(_ rows: RowBatch) {
        for key in rows.keys { excuse(key) }
    }

    private mutating func excuse(_ key: [UInt8]) {
        tally.changedMeanwhile += 1
        settled.excused.insert(key)
    }
}
