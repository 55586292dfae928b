import Engine
import Postgres
import Runtime

/// Brings rows into the target so that one bad row never holds up the others.
///
/// A stretch is tried whole; when its data is refused it is cut into batches, then into halves, until each bad row
/// stands alone: at most 2·log2 n extra transactions a bad row.
struct RowInserter {
    let writer: TargetWriter
    let context: RunContext
    let batchSize: Int

    struct Outcome {
        var inserted: [[UInt8]] = []
        var insertedCount = 0
        /// Keys that somebody else had inserted by then.
        var conflicting: [[UInt8]] = []
        /// A connection was lost while a commit was under way: rows found equal afterwards may be our own.
        var uncertain = false
        var refused: [(row: [UInt8], error: TallyError)] = []
    }

    func insert(_ rows: RowBatch) async throws -> Outcome {
        var outcome = Outcome()
        try await insert(rows, cut: max(1, batchSize), into: &outcome)
        return outcome
    }

    private func insert(_ rows: RowBatch, cut: Int, into outcome: inout Outcome) async throws {
        guard !rows.isEmpty else { return }
        do {
            try await insertWhole(rows, &outcome)
        } catch let error as TallyError where error.kind.disposition == .quarantine {
            guard rows.count > 1 else {
                outcome.refused.append((rows.image(0), error))
                return
            }
            let size = rows.count > cut ? cut : (rows.count + 1) / 2
            for start in stride(from: 0, to: rows.count, by: size) {
                try await insert(rows.slice(start..<min(rows.count, start + size)), cut: cut, into: &outcome)
            }
        }
    }

    private func insertWhole(_ rows: RowBatch, _ outcome: inout Outcome) async throws {
        do {
            try await writer.insert(rows)
            outcome.insertedCount += rows.count
            return
        } catch let error as TallyError where error.serverError?.sqlState == "23505" {
            // Somebody inserted a key of ours meanwhile, or another unique index refuses: the staged way tells them
            // apart.
        } catch let error as TallyError where error.kind.disposition == .retry {
            outcome.uncertain = true
        }
        let conflicting = try await context.retrying("target.insert") { try await writer.insertAbsent(rows) }
        outcome.conflicting += conflicting
        outcome.insertedCount += rows.count - conflicting.count
    }
}
