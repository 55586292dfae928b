import Engine
import Postgres
import Runtime

/// Reads one COPY of the source into a channel, cut into batches of the run's size.
struct RowStream: Sendable {
    let plan: ExportPlan
    let connection: PGConnection
    let batchRows: Int
    let transform: TransformStep?

    /// A batch also ends here, so that no transaction grows with the width of rows.
    static let batchBytesMax = 64 << 20
    static let chunkBytes = 256 << 10

    func read(_ sql: String, into channel: BoundedChannel<SourceRows>) async throws {
        try await connection.copyOutStart(sql, format: plan.format)
        var rows = 0
        var bytes = 0
        while true {
            let wanted = min(8_192, batchRows - rows)
            guard let chunk = try await connection.copyOutNext(maxBytes: Self.chunkBytes, maxRows: wanted) else {
                return
            }
            rows += chunk.rowStarts.count
            bytes += chunk.bytes.count
            let ends = rows >= batchRows || bytes >= Self.batchBytesMax
            if ends { (rows, bytes) = (0, 0) }
            let sent = try transform?.apply(chunk) ?? chunk
            try await channel.send(SourceRows(rows: sent, last: chunk, endsBatch: ends))
        }
    }
}
