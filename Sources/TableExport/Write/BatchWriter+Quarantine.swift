import Engine
import Postgres
import Runtime

/// A batch that is held whole, so that it may be split.
struct Batch: Sendable {
    var rows = PGCopyChunk(bytes: [], rowStarts: [])
    var last: PGCopyChunk?
    var bad: [DeadLetter] = []

    init(first: SourceRows, next: () async throws -> SourceRows?) async throws {
        var current: SourceRows? = first
        while let part = current {
            rows.append(part.rows)
            bad += part.bad
            if !part.last.rowStarts.isEmpty { last = part.last }
            current = part.endsBatch ? nil : try await next()
        }
    }
}

extension BatchWriter {
    /// Writes a batch, setting aside the rows that the target refuses (INV-5).
    func write(_ batch: Batch, on connection: PGConnection) async throws -> Written {
        var result = Written(last: batch.last, letters: batch.bad)
        // A deferred constraint would refuse the whole batch at its commit.
        try await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        try await place(0..<batch.rows.rowStarts.count, of: batch.rows, on: connection, &result)
        try await context.failpoint.reach("export.staged")
        try await context.deadLetters.record(result.letters, in: connection)
        let refused = Set(result.letters.map(\.key))
        let arrived = openKeys.isEmpty ? [] : batch.rows.rowStarts.indices.map { key($0, batch.rows) }
        let closed = Set(arrived).intersection(openKeys).subtracting(refused)
        try await context.deadLetters.resolve(keys: closed.sorted(), in: connection)
        return result
    }

    private func key(_ index: Int, _ rows: PGCopyChunk) -> String { BadRow(plan: plan, bytes: rows.row(index)).key }

    /// Writes a run of rows; where it is refused, each half of it, down to the rows that are bad.
    private func place(
        _ range: Range<Int>,
        of rows: PGCopyChunk,
        on connection: PGConnection,
        _ result: inout Written
    ) async throws {
        guard !range.isEmpty else { return }
        try await connection.execute("SAVEPOINT tallyman_part; \(StageTable.emptySQL)")
        do {
            try await connection.copyInStart(stage.copySQL, format: plan.format)
            try await connection.copyInSend(Array(rows.bytes[rows.span(range)]))
            let confirmed = try await connection.copyInFinish()
            try prove(confirmed == range.count, "the server confirmed \(confirmed) rows where \(range.count) were sent")
            let written = try await upsert(sent: range.count, on: connection)
            try await connection.execute("RELEASE SAVEPOINT tallyman_part")
            result.sent += range.count
            result.written += written
        } catch let error as TallyError where error.isAboutData {
            try await connection.execute("ROLLBACK TO SAVEPOINT tallyman_part; RELEASE SAVEPOINT tallyman_part")
            guard range.count > 1 else {
                result.letters.append(BadRow(plan: plan, bytes: rows.row(range.lowerBound)).letter(error))
                return
            }
            let middle = range.lowerBound + range.count / 2
            try await place(range.lowerBound..<middle, of: rows, on: connection, &result)
            try await place(middle..<range.upperBound, of: rows, on: connection, &result)
        }
    }
}
