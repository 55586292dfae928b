import Engine
import Postgres
import Runtime

/// Brings rows into the target so that one bad row never holds up the others.
///
/// A stretch is tried whole; when its data is refused it is cut into halves until each bad row stands alone: at most
/// 2·⌈log2 n⌉ extra transactions for one bad row among n.
struct RowInserter {
    let writer: TargetWriter

    struct Outcome {
        var insertedCount = 0
        /// Keys that somebody else had inserted by then.
        var conflicting: [[UInt8]] = []
        /// A connection was lost while a commit was under way: rows found equal afterwards may be our own.
        var uncertain = false
        var refused: [(row: [UInt8], error: TallyError)] = []
    }

    func insert(_ rows: RowBatch) async throws -> Outcome {
        var outcome = Outcome()
        var isStaged = false
        try await insert(rows, &isStaged, into: &outcome)
        return outcome
    }

    private func insert(_ rows: RowBatch, _ isStaged: inout Bool, into outcome: inout Outcome) async throws {
        guard !rows.isEmpty else { return }
        do {
            try await insertWhole(rows, &isStaged, &outcome)
        } catch let error as TallyError where error.kind.disposition == .quarantine {
            guard rows.count > 1 else {
                outcome.refused.append((rows.image(0), error))
                return
            }
            let half = (rows.count + 1) / 2
            try await insert(rows.slice(0..<half), &isStaged, into: &outcome)
            try await insert(rows.slice(half..<rows.count), &isStaged, into: &outcome)
        }
    }

    /// `isStaged`: the plain way met a duplicate, so the parts of this stretch take the staged way at once.
    private func insertWhole(_ rows: RowBatch, _ isStaged: inout Bool, _ outcome: inout Outcome) async throws {
        if isStaged { return try await insertStaged(rows, &outcome) }
        do {
            try await writer.insert(rows)
            outcome.insertedCount += rows.count
            return
        } catch let error as TallyError where error.serverError?.sqlState == "23505" {
            // Somebody inserted a key of ours meanwhile, or another unique index refuses: the staged way tells them
            // apart.
            isStaged = true
        } catch let error as TallyError where error.kind.disposition == .retry {
            outcome.uncertain = true
        }
        try await insertStaged(rows, &outcome)
    }

    private func insertStaged(_ rows: RowBatch, _ outcome: inout Outcome) async throws {
        let conflicting = try await writer.context.retrying("target.insert") { try await writer.insertAbsent(rows) }
        outcome.conflicting += conflicting
        outcome.insertedCount += rows.count - conflicting.count
    }
}
