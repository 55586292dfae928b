import Engine
import Postgres
import Runtime

/// Rows from the source, in order, and whether they end a batch.
struct SourceRows: Sendable {
    var rows: PGCopyChunk
    /// As they were read: what positions are taken from.
    let last: PGCopyChunk
    /// Those that a Swift transform failed on, where such rows are set aside.
    var bad: [DeadLetter] = []
    let endsBatch: Bool
}

/// Why a reading ended before its end; every row before the one it stumbled over was handed out.
enum ReadFailure: Sendable {
    /// The source server could not compute a row.
    case server(TallyError)
    /// A Swift transform failed.
    case transform(TallyError)
}

/// Reads one COPY of the source into a channel, cut into batches of the run's size.
struct RowStream: Sendable {
    let plan: ExportPlan
    let connection: PGConnection
    let batchRows: Int
    let transform: TransformStep?

    static let chunkBytes = 256 << 10
    static let savepoint = "tallyman_read"

    /// A batch also ends here, so that no transaction grows with the width of rows; one that may be split is held in
    /// memory whole.
    private var batchBytesMax: Int { plan.setsAside ? 8 << 20 : 64 << 20 }

    /// Reads to the end, or to the first row that cannot be had.
    func read(_ sql: String, into channel: BoundedChannel<SourceRows>) async throws -> ReadFailure? {
        do {
            // An error would take the snapshot away with the transaction.
            try await connection.copyOutStart("SAVEPOINT \(Self.savepoint); \(sql)", format: plan.format)
            return try await rows(into: channel)
        } catch let error as TallyError where error.isAboutData {
            return .server(error)
        }
    }

    private func rows(into channel: BoundedChannel<SourceRows>) async throws -> ReadFailure? {
        var rows = 0
        var bytes = 0
        while true {
            let wanted = min(8_192, batchRows - rows)
            guard let chunk = try await connection.copyOutNext(maxBytes: Self.chunkBytes, maxRows: wanted) else {
                return nil
            }
            rows += chunk.rowStarts.count
            bytes += chunk.bytes.count
            let ends = rows >= batchRows || bytes >= batchBytesMax
            if ends { (rows, bytes) = (0, 0) }
            guard let applied = try transform?.apply(chunk) else {
                try await channel.send(SourceRows(rows: chunk, last: chunk, endsBatch: ends))
                continue
            }
            if !applied.seen.rowStarts.isEmpty {
                try await channel.send(
                    SourceRows(rows: applied.rows, last: applied.seen, bad: applied.bad, endsBatch: ends)
                )
            }
            if let failure = applied.failure { return .transform(failure) }
        }
    }
}

extension TallyError {
    /// A server says that a value is wrong, not that it cannot work.
    var isAboutData: Bool { serverError != nil && kind.disposition == .quarantine }
}
