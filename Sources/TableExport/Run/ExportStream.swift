import Engine
import Postgres
import Runtime

/// Reads and writes at the same time: the source fills a short channel, the target's writer empties it.
struct ExportStream {
    let plan: ExportPlan
    let from: PGConnection
    let batchRows: Int
    let transform: ExportTransform?
    var writer: BatchWriter

    init(plan: ExportPlan, from: PGConnection, batchRows: Int, transform: ExportTransform?, writer: BatchWriter) {
        self.plan = plan
        self.from = from
        self.batchRows = batchRows
        self.transform = transform
        self.writer = writer
    }

    /// Moves all rows of a statement; the position of the last of them, or nil when there was none.
    @discardableResult
    mutating func run(_ sql: String, mark: SnapshotMark?, isLate: Bool) async throws -> Position? {
        let channel = BoundedChannel<SourceRows>(capacity: 8)
        let source = RowStream(
            plan: plan,
            connection: from,
            batchRows: batchRows,
            transform: transform.map { TransformStep(plan: plan, transform: $0) }
        )
        var writer = writer
        let last = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await source.read(sql, into: channel)
                    channel.finish()
                } catch {
                    channel.finish(throwing: error)
                }
            }
            defer { group.cancelAll() }
            return try await Self.drain(channel, &writer, plan, mark: mark, isLate: isLate)
        }
        self.writer = writer
        return last
    }

    private static func drain(
        _ channel: BoundedChannel<SourceRows>,
        _ writer: inout BatchWriter,
        _ plan: ExportPlan,
        mark: SnapshotMark?,
        isLate: Bool
    ) async throws -> Position? {
        var last: PGCopyChunk?
        while let first = try await channel.receive() {
            var read = first.last.rowStarts.count
            var dropped = read - first.rows.rowStarts.count
            last = first.last
            try await writer.write(first: first, mark: mark) {
                let more = try await channel.receive()
                if let more {
                    read += more.last.rowStarts.count
                    dropped += more.last.rowStarts.count - more.rows.rowStarts.count
                    last = more.last
                }
                return more
            }
            writer.noteRead(read, isLate: isLate, dropped: dropped)
        }
        return try last.map { try Position(lastOf: $0, plan: plan) }
    }
}
