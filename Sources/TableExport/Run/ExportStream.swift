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

    private var statement: ReadStatement { ReadStatement(plan: plan) }

    /// Moves all rows of a condition; the position of the last of them, or nil when there was none.
    ///
    /// A row that the source cannot compute ends the run behind every row before it, or is set aside.
    @discardableResult
    mutating func run(_ condition: String, mark: SnapshotMark?, isLate: Bool) async throws -> Position? {
        let whole = condition
        var condition = condition
        var last: Position?
        while true {
            let (position, failure) = try await once(condition, mark: mark, isLate: isLate)
            last = position ?? last
            switch failure {
            case nil: return last
            case .transform(let error): throw error
            case .server(let error):
                let rest = position.map { "\(condition) AND \(statement.past($0))" } ?? condition
                let bad = try await stumbled(error, rest, mark: mark, isLate: isLate)
                // Past this row is past all bad ones before it: the statement stays as short as it was.
                condition = "\(whole) AND \(statement.past(bad))"
                last = bad
            }
        }
    }

    /// Finds the bad row, moves those before it, and sets it aside or throws what was wrong with it.
    private mutating func stumbled(
        _ error: TallyError,
        _ condition: String,
        mark: SnapshotMark?,
        isLate: Bool
    ) async throws -> Position {
        try await from.execute("ROLLBACK TO SAVEPOINT \(RowStream.savepoint)")
        guard plan.isPositionUnique, let bad = try await BadRowSearch(plan: plan, connection: from).find(condition)
        else { throw Self.failed(error, at: nil, remedy: "A unique `idField` would tell which row it is.") }
        if !bad.isFirst {
            let good = "\(condition) AND \(statement.before(bad.position))"
            if case .server(let other)? = try await once(good, mark: mark, isLate: isLate).failure { throw other }
        }
        let remedy = "Mend the row or the transform; the next run goes on from there."
        let failure = Self.failed(error, at: bad.position, remedy: remedy)
        guard plan.setsAside else { throw failure }
        let letter = DeadLetter(
            key: bad.key ?? bad.position.text,
            reason: failure.summary,
            kind: failure.kind.rawValue,
            columns: [],
            fingerprint: BadRow.digest(bad.position.text.utf8)
        )
        try await writer.setAside(letter, at: bad.position, mark: mark)
        return bad.position
    }

    private static func failed(_ error: TallyError, at position: Position?, remedy: String) -> TallyError {
        let place = position.map { "the row of position (\($0.text))" } ?? "a row"
        return TallyError(
            .recordMalformed,
            during: "export.read",
            "the source could not compute \(place): \(error.summary)",
            remedy: remedy,
            detail: error.detail,
            cause: error
        )
    }

    private mutating func once(
        _ condition: String,
        mark: SnapshotMark?,
        isLate: Bool
    ) async throws -> (last: Position?, failure: ReadFailure?) {
        let channel = BoundedChannel<SourceRows>(capacity: 8)
        let sql = statement.copy(where: condition)
        let source = RowStream(
            plan: plan,
            connection: from,
            batchRows: batchRows,
            transform: transform.map { TransformStep(plan: plan, transform: $0) }
        )
        var writer = writer
        let (last, failure) = try await withThrowingTaskGroup(of: ReadFailure?.self) { group in
            group.addTask {
                do {
                    let failure = try await source.read(sql, into: channel)
                    channel.finish()
                    return failure
                } catch {
                    channel.finish(throwing: error)
                    return nil
                }
            }
            defer { group.cancelAll() }
            let last = try await Self.drain(channel, &writer, plan, mark: mark, isLate: isLate)
            return (last, try await group.next() ?? nil)
        }
        self.writer = writer
        return (last, failure)
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
            var dropped = read - first.rows.rowStarts.count - first.bad.count
            last = first.last
            try await writer.write(first: first, mark: mark) {
                let more = try await channel.receive()
                if let more {
                    read += more.last.rowStarts.count
                    dropped += more.last.rowStarts.count - more.rows.rowStarts.count - more.bad.count
                    last = more.last
                }
                return more
            }
            writer.noteRead(read, isLate: isLate, dropped: dropped)
        }
        return try last.map { try Position(lastOf: $0, plan: plan) }
    }
}
