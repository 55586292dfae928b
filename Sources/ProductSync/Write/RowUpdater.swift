import Engine
import Postgres
import Runtime

/// Updates stale rows so that one bad row never holds up the others; refused stretches are halved as in `RowInserter`.
struct RowUpdater {
    let writer: TargetWriter

    struct Outcome {
        var updated: Set<[UInt8]> = []
        /// A connection was lost while a commit was under way: rows found equal afterwards may be our own.
        var uncertain = false
        var refused: [(row: [UInt8], error: TallyError)] = []
    }

    /// Rows in neither list of the outcome are no longer what they were compared with, and were left alone.
    func update(_ source: RowBatch, replacing target: RowBatch) async throws -> Outcome {
        var outcome = Outcome()
        try await update(source, target, into: &outcome)
        return outcome
    }

    private func update(_ source: RowBatch, _ target: RowBatch, into outcome: inout Outcome) async throws {
        guard !source.isEmpty else { return }
        do {
            outcome.updated.formUnion(try await updateWhole(source, target, &outcome))
        } catch let error as TallyError where error.kind.disposition == .quarantine {
            guard source.count > 1 else {
                outcome.refused.append((source.image(0), error))
                return
            }
            let half = source.count / 2
            try await update(source.slice(0..<half), target.slice(0..<half), into: &outcome)
            let rest = half..<source.count
            try await update(source.slice(rest), target.slice(rest), into: &outcome)
        }
    }

    private func updateWhole(
        _ source: RowBatch,
        _ target: RowBatch,
        _ outcome: inout Outcome
    ) async throws -> Set<[UInt8]> {
        do {
            return try await writer.update(source, replacing: target)
        } catch let error as TallyError where error.kind.disposition == .retry {
            outcome.uncertain = true
        }
        return try await writer.context.retrying("target.update") {
            try await writer.update(source, replacing: target)
        }
    }
}
