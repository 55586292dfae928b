package import Engine
package import Postgres
import Runtime

/// Reads the target's mapped columns: all of them in key order, or the rows of given keys.
package struct TargetReader: Sendable {
    let pool: PGPool
    let plan: ColumnPlan
    let context: RunContext

    package init(pool: PGPool, plan: ColumnPlan, context: RunContext) {
        self.pool = pool
        self.plan = plan
        self.context = context
    }

    private var keySQL: String { PGIdentifier.quote(plan.columns[0].name) }

    /// Streams every row in the order of the key's index; one snapshot as long as the connection lives.
    ///
    /// A lost connection is replaced and the stream goes on behind the last key delivered.
    package func stream(_ deliver: @Sendable (PGCopyChunk) async throws -> Void) async throws {
        let position = StreamPosition()
        try await context.retrying("target.stream") {
            try await pool.withConnection { connection in
                try await connection.begin(readOnly: true)
                // The primary key's index serves the order; without it the planner may sort the whole table on disk.
                try await connection.execute(
                    "SET LOCAL enable_sort = off; SET LOCAL enable_hashagg = off; SET LOCAL jit = off; "
                        + "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL statement_timeout = 0"
                )
                try await connection.copyOutStart(copySQL(after: position.last))
                while let chunk = try await connection.copyOutNext() {
                    try await context.failpoint.reach("target.chunkRead")
                    try await deliver(chunk)
                    if let start = chunk.rowStarts.last {
                        position.last = Array(chunk.bytes[RowImage.key(chunk.bytes.span, at: Int(start))])
                    }
                }
                try await connection.commit()
            }
        }
    }

    private func copySQL(after last: [UInt8]?) -> String {
        let behind = last.map { " WHERE \(keySQL) > \(literal($0))" } ?? ""
        return "COPY (SELECT \(plan.columnsSQL) FROM \(plan.tableSQL)\(behind) ORDER BY \(keySQL)) "
            + "TO STDOUT (FORMAT binary)"
    }

    private func literal(_ key: [UInt8]) -> String { PGIdentifier.quoteLiteral(plan.key.text(key)) }

    /// The rows of `keys`, by key; keys without a row are absent. At most a few thousand keys at once.
    package func rows(_ keys: [[UInt8]]) async throws -> [[UInt8]: [UInt8]] {
        guard !keys.isEmpty else { return [:] }
        let list = keys.map(literal).joined(separator: ",")
        let sql =
            "COPY (SELECT \(plan.columnsSQL) FROM \(plan.tableSQL) WHERE \(keySQL) = "
            + "ANY (ARRAY[\(list)]::\(plan.key.arrayTypeSQL))) TO STDOUT (FORMAT binary)"
        return try await context.retrying("target.lookup") {
            try await pool.withConnection { connection in
                var rows: [[UInt8]: [UInt8]] = [:]
                try await connection.begin(readOnly: true)
                try await connection.copyOutStart(sql)
                while let chunk = try await connection.copyOutNext() {
                    for row in chunk.rowStarts.indices {
                        let range = chunk.range(row)
                        let key = Array(chunk.bytes[RowImage.key(chunk.bytes.span, at: range.lowerBound)])
                        rows[key] = Array(chunk.bytes[range])
                    }
                }
                try await connection.commit()
                return rows
            }
        }
    }
}

extension PGCopyChunk {
    /// Byte range of a row's image.
    @inline(__always)
    func range(_ row: Int) -> Range<Int> {
        Int(rowStarts[row])..<(row + 1 < rowStarts.count ? Int(rowStarts[row + 1]) : bytes.count)
    }
}

// Used by the one task that streams; a class so that a retry sees where the try before it ended.
private final class StreamPosition: @unchecked Sendable {
    var last: [UInt8]?
}
