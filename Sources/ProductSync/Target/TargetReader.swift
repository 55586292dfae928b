package import Engine
package import Postgres
import Runtime

/// Rows of the target's stream.
package struct TargetChunk: Sendable {
    package let rows: PGCopyChunk
    /// When the snapshot they are of stood already.
    let asOf: ContinuousClock.Instant
}

/// Reads the target's mapped columns: all of them in key order, or the rows of given keys.
package struct TargetReader: Sendable {
    let pool: PGPool
    let plan: ColumnPlan
    let context: RunContext
    let range: SideRange<String>

    /// `range`: the rows that are streamed, by the key as text; lookups see all.
    package init(
        pool: PGPool,
        plan: ColumnPlan,
        context: RunContext,
        range: SideRange<String> = .everything
    ) {
        self.pool = pool
        self.plan = plan
        self.context = context
        self.range = range
    }

    private var keySQL: String { PGIdentifier.quote(plan.columns[0].name) }

    /// Streams every row in the order of the key's index; one snapshot as long as the connection lives.
    ///
    /// A lost connection is replaced and the stream goes on behind the last key delivered.
    package func stream(_ deliver: @Sendable (TargetChunk) async throws -> Void) async throws {
        guard case .between(let lower, let upper) = range else { return }
        let position = StreamPosition()
        try await context.retrying("target.stream") {
            try await pool.withConnection { connection in
                try await connection.begin(readOnly: true)
                // The primary key's index serves the order; without it the planner may sort the whole table on disk.
                try await connection.execute(
                    "SET LOCAL enable_sort = off; SET LOCAL enable_hashagg = off; SET LOCAL jit = off; "
                        + "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL statement_timeout = 0"
                )
                try await connection.copyOutStart(copySQL(after: position.last, from: lower, below: upper))
                let asOf = ContinuousClock.now
                while let chunk = try await connection.copyOutNext() {
                    try await context.failpoint.reach("target.chunkRead")
                    try await deliver(TargetChunk(rows: chunk, asOf: asOf))
                    if let last = Self.lastKey(of: chunk) { position.last = last }
                }
                try await connection.commit()
            }
        }
    }

    /// What a stream goes on behind; nil where no row has a key. Rows without one come last and are read again.
    package static func lastKey(of chunk: PGCopyChunk) -> [UInt8]? {
        let bytes = chunk.bytes.span
        guard let start = chunk.rowStarts.last(where: { RowImage.hasKey(bytes, at: Int($0)) }) else { return nil }
        return Array(chunk.bytes[RowImage.key(bytes, at: Int(start))])
    }

    private func copySQL(after last: [UInt8]?, from lower: String?, below upper: String?) -> String {
        let behind = last.map { "\(keySQL) > \(literal($0))" }
        let condition = Self.condition(keySQL, plan, from: behind == nil ? lower : nil, below: upper, and: behind)
        return "COPY (SELECT \(plan.columnsSQL) FROM \(plan.tableSQL)\(condition) ORDER BY \(keySQL)) "
            + "TO STDOUT (FORMAT binary)"
    }

    /// The `WHERE` of a range. A row without a key is the last range's: such rows sort behind all others.
    private static func condition(
        _ keySQL: String,
        _ plan: ColumnPlan,
        from lower: String?,
        below upper: String?,
        and behind: String? = nil
    ) -> String {
        var parts = [behind, lower.map { "\(keySQL) >= \(PGIdentifier.quoteLiteral($0))" }].compactMap(\.self)
        if let upper { parts.append("\(keySQL) < \(PGIdentifier.quoteLiteral(upper))") }
        guard !parts.isEmpty else { return "" }
        let all = parts.joined(separator: " AND ")
        return upper == nil && !plan.columns[0].notNull ? " WHERE (\(all) OR \(keySQL) IS NULL)" : " WHERE \(all)"
    }

    /// How many rows the range has now.
    package func count() async throws -> Int {
        guard case .between(let lower, let upper) = range else { return 0 }
        let condition = Self.condition(keySQL, plan, from: lower, below: upper)
        return try await context.retrying("target.count") {
            try await pool.withConnection { connection in
                try await connection.begin(readOnly: true)
                try await connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL jit = off")
                let counted = try await connection.query("SELECT count(*) FROM \(plan.tableSQL)\(condition)")
                try await connection.commit()
                return try counted.rows.first?[0].int() ?? 0
            }
        }
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
