import Engine
import Postgres
import Runtime

/// What a run did, row by row.
struct ExportTally: Sendable, Equatable {
    var read = 0
    var written = 0
    var unchanged = 0
    /// Read behind the cursor.
    var late = 0
    /// Left out by a Swift transform.
    var dropped = 0
    var deadLetters = 0
    var batches = 0
}

/// Rows from the source, in order, and whether they end a batch.
struct SourceRows: Sendable {
    var rows: PGCopyChunk
    /// As they were read: what positions are taken from.
    let last: PGCopyChunk
    let endsBatch: Bool
}

/// Writes batches with the position that says they arrived, each in one fenced transaction (INV-1).
struct BatchWriter {
    let plan: ExportPlan
    let context: RunContext
    let connection: PGConnection
    let key: WatermarkKey
    let isDirect: Bool
    /// The position as the target holds it.
    private(set) var stored: Watermark?
    private(set) var tally = ExportTally()

    init(
        plan: ExportPlan,
        context: RunContext,
        connection: PGConnection,
        key: WatermarkKey,
        stored: Watermark?,
        isDirect: Bool
    ) {
        self.plan = plan
        self.context = context
        self.connection = connection
        self.key = key
        self.stored = stored
        self.isDirect = isDirect
    }

    private var stage: StageTable { StageTable(plan: plan) }

    private struct Written {
        var sent = 0
        var written = 0
        var last: PGCopyChunk?
        var next: Watermark?
    }

    /// Writes one batch beginning with `first`; more of it comes from `next`.
    ///
    /// With `mark` the batch moves the position to its last row; without, it lies behind the position and leaves it.
    mutating func write(
        first: SourceRows,
        mark: SnapshotMark?,
        next: () async throws -> SourceRows?
    ) async throws {
        try await context.failpoint.reach("export.beforeBatch")
        let result = try await context.write(on: connection, durable: false) { connection in
            var result = try await copy(first: first, next: next, on: connection)
            try await context.failpoint.reach("export.staged")
            if !isDirect { result.written = try await upsert(sent: result.sent, on: connection) }
            if let mark, let last = result.last {
                let position = try Position(lastOf: last, plan: plan)
                let watermark = position.watermark(type: plan.cursorType, snapshot: mark)
                try await Watermarks.advance(key, from: stored, to: watermark, in: connection)
                result.next = watermark
            }
            return result
        }
        if let moved = result.next { stored = moved }
        tally.batches += 1
        tally.written += result.written
        tally.unchanged += result.sent - result.written
        context.progress.add(written: result.written)
    }

    private func copy(
        first: SourceRows,
        next: () async throws -> SourceRows?,
        on connection: PGConnection
    ) async throws -> Written {
        let sql = isDirect ? stage.directCopySQL : stage.copySQL
        var result = Written()
        try await connection.copyInStart(sql, format: plan.format)
        var current: SourceRows? = first
        while let rows = current {
            if !rows.rows.bytes.isEmpty { try await connection.copyInSend(rows.rows.bytes) }
            result.sent += rows.rows.rowStarts.count
            if !rows.last.rowStarts.isEmpty { result.last = rows.last }
            current = rows.endsBatch ? nil : try await next()
        }
        let confirmed = try await connection.copyInFinish()
        try prove(confirmed == result.sent, "the server confirmed \(confirmed) rows where \(result.sent) were sent")
        result.written = confirmed
        return result
    }

    private func upsert(sent: Int, on connection: PGConnection) async throws -> Int {
        let affected = try await connection.query(stage.upsertSQL).affectedRows
        guard affected < sent else {
            try prove(affected == sent, "the server wrote \(affected) rows where \(sent) were staged")
            return affected
        }
        let lost = try await connection.query(stage.lostSQL).rows.first?[0].int() ?? sent
        try prove(lost == 0, "\(lost) of \(sent) staged rows did not arrive")
        return affected
    }

    private func prove(_ holds: Bool, _ otherwise: String) throws {
        guard !holds else { return }
        throw TallyError(
            .proofFailed,
            during: "export.write",
            "\(otherwise), in \(plan.targetSQL)",
            remedy: "The batch was rolled back. Look for a trigger or rule on the table that drops rows."
        )
    }

    /// The run's last transaction: the whole of the source, as `mark` shows it, has arrived.
    ///
    /// Synchronous when rows were written, which makes every batch before it durable.
    mutating func finish(
        _ position: Position?,
        mark: SnapshotMark,
        also body: (PGConnection) async throws -> Void
    ) async throws {
        try await context.failpoint.reach("export.beforeFinish")
        let next = position?.watermark(type: plan.cursorType, snapshot: mark)
        let previous = stored
        try await context.write(on: connection, durable: tally.written > 0) { connection in
            if let next { try await Watermarks.advance(key, from: previous, to: next, in: connection) }
            try await body(connection)
        }
        if let next { stored = next }
    }

    mutating func noteRead(_ rows: Int, isLate: Bool, dropped: Int) {
        tally.read += rows
        tally.dropped += dropped
        if isLate { tally.late += rows }
        context.progress.add(read: rows)
    }
}
