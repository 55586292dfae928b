import Engine
import Postgres
import Runtime

/// Writes batches with the position that says they arrived, each in one fenced transaction (INV-1).
struct BatchWriter {
    let plan: ExportPlan
    let context: RunContext
    let connection: PGConnection
    let key: WatermarkKey
    let isDirect: Bool
    /// The position as the target holds it.
    private(set) var stored: Watermark?
    let book: TallyBook
    private var hasStage = false
    /// Keys of open dead letters: those that arrive are closed.
    let openKeys: Set<String>

    init(
        plan: ExportPlan,
        context: RunContext,
        connection: PGConnection,
        key: WatermarkKey,
        stored: Watermark?,
        isDirect: Bool,
        book: TallyBook,
        openKeys: Set<String> = []
    ) {
        self.book = book
        self.openKeys = openKeys
        self.plan = plan
        self.context = context
        self.connection = connection
        self.key = key
        self.stored = stored
        self.isDirect = isDirect
    }

    var stage: StageTable {
        let options = context.options
        return StageTable(plan: plan, takesAsRead: options.full == true && options.since == nil)
    }

    struct Written: Sendable {
        var sent = 0
        var written = 0
        var last: PGCopyChunk?
        var next: Watermark?
        var letters: [DeadLetter] = []
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
        try await makeStage()
        book.noteWriting()
        let result = try await placed {
            guard plan.setsAside else {
                return try await transaction(mark) { connection in
                    var result = try await copy(first: first, next: next, on: connection)
                    try await context.failpoint.reach("export.staged")
                    if !isDirect { result.written = try await upsert(sent: result.sent, on: connection) }
                    return result
                }
            }
            let batch = try await Batch(first: first, next: next)
            return try await transaction(mark) { try await self.write(batch, on: $0) }
        }
        note(result)
    }

    /// Sets aside a row that the source could not compute, and moves the position to it.
    mutating func setAside(_ letter: DeadLetter, at position: Position, mark: SnapshotMark?) async throws {
        book.noteWriting()
        let result = try await context.write(on: connection, durable: false) { connection in
            try await context.deadLetters.record([letter], in: connection)
            var result = Written(letters: [letter])
            result.next = try await move(to: mark.map { _ in position }, mark, on: connection)
            return result
        }
        book.add { $0.read += 1 }
        note(result)
    }

    private func transaction(
        _ mark: SnapshotMark?,
        _ body: (PGConnection) async throws -> Written
    ) async throws -> Written {
        try await context.write(on: connection, durable: false) { connection in
            var result = try await body(connection)
            let position = try mark == nil ? nil : result.last.map { try Position(lastOf: $0, plan: plan) }
            result.next = try await move(to: position, mark, on: connection)
            return result
        }
    }

    private func move(
        to position: Position?,
        _ mark: SnapshotMark?,
        on connection: PGConnection
    ) async throws -> Watermark? {
        guard let position else { return nil }
        let watermark = position.watermark(type: plan.cursorType, snapshot: mark)
        try await Watermarks.advance(key, from: stored, to: watermark, in: connection)
        return watermark
    }

    private mutating func note(_ result: Written) {
        if let moved = result.next { stored = moved }
        book.add { tally in
            tally.batches += 1
            tally.written += result.written
            tally.unchanged += result.sent - result.written
            tally.deadLetters += result.letters.count
        }
        context.progress.add(written: result.written)
    }

    private mutating func makeStage() async throws {
        guard !isDirect, !hasStage else { return }
        try await connection.execute(stage.createSQL)
        hasStage = true
    }

    mutating func dropStage() async throws {
        guard hasStage else { return }
        try await connection.execute(StageTable.dropSQL)
        hasStage = false
    }

    /// Says where the rows stood that the target refused.
    private func placed(_ body: () async throws -> Written) async throws -> Written {
        do {
            return try await body()
        } catch let error as TallyError where error.isAboutData && !(isDirect && error.kind == .constraintViolated) {
            let position = Position(stored, type: plan.cursorType)
            let start = position.map { "behind the position (\($0.text))" } ?? "with the first row"
            throw TallyError(
                error.kind,
                during: "export.write",
                "\(error.summary), in the batch that begins \(start)",
                remedy: "Mend the rows; the next run goes on from there. `onError: quarantine` sets such rows aside.",
                detail: error.detail,
                cause: error.serverError
            )
        }
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

    func upsert(sent: Int, on connection: PGConnection) async throws -> Int {
        let affected = try await connection.query(stage.upsertSQL).affectedRows
        guard affected < sent else {
            try prove(affected == sent, "the server wrote \(affected) rows where \(sent) were staged")
            return affected
        }
        let row = try await connection.query(stage.lostSQL).rows.first
        let (absent, untouched) = (try row?[0].int() ?? sent, try row?[1].int() ?? sent)
        try prove(absent == 0, "\(absent) of \(sent) staged rows did not arrive")
        guard untouched > 0 else { return affected }
        try await probe(untouched, of: sent, on: connection)
        return affected
    }

    /// Rows were not written although they differ from what was staged: shows that they would be, or throws.
    private func probe(_ untouched: Int, of sent: Int, on connection: PGConnection) async throws {
        try await connection.execute("SAVEPOINT tallyman_probe")
        let written = try await connection.query(stage.probeSQL).affectedRows
        try await connection.execute("ROLLBACK TO SAVEPOINT tallyman_probe; RELEASE SAVEPOINT tallyman_probe")
        guard written < untouched else { return }
        let suppresses = try await connection.query(stage.suppressesSQL).rows.first?[0].bool() ?? false
        try prove(
            suppresses,
            "\(untouched - written) of \(sent) staged rows did not replace what was there"
        )
    }

    func prove(_ holds: Bool, _ otherwise: String) throws {
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
    /// Synchronous when any attempt of the run wrote something, which makes every batch before it durable.
    /// - Parameter replaces: the stored position belongs to another definition, and need not be before the new one.
    mutating func finish(
        _ position: Position?,
        mark: SnapshotMark,
        replaces: Bool = false,
        also body: (PGConnection) async throws -> Void
    ) async throws {
        try await context.failpoint.reach("export.beforeFinish")
        let next = position?.watermark(type: plan.cursorType, snapshot: mark)
        let previous = replaces ? nil : stored
        try await context.write(on: connection, durable: book.mayHaveWritten) { connection in
            if replaces { _ = try await Watermarks.delete(key, on: connection) }
            if let next { try await Watermarks.advance(key, from: previous, to: next, in: connection) }
            try await body(connection)
        }
        if let next { stored = next }
    }

    func noteRead(_ rows: Int, isLate: Bool, dropped: Int) {
        book.add { tally in
            tally.read += rows
            tally.dropped += dropped
            if isLate { tally.late += rows }
        }
        context.progress.add(read: rows)
    }
}
