import Engine
import Postgres
import Runtime

/// A measure of a day (or of the newest day), as the warehouse has it and as the source gives it now.
struct StagedDay: Sendable {
    let measure: Measure
    let day: CalendarDay
    let before: RowDigest
    let after: RowDigest

    var isChanged: Bool { before != after }
}

/// What a run reads of one window, beside the warehouse's own rows: in temporary tables, or only counted.
struct WindowStage: Sendable {
    let reader: WindowReader
    let warehouse: PGConnection
    /// A dry run holds a read-only session: nothing is staged.
    let writes: Bool
    let progress: Progress

    static func table(_ measure: Measure) -> String { "pg_temp.tallyman_stage_\(measure.name)" }

    /// Reads every measure of every day; `snapshotDay` is the day that measures without a history are computed for.
    func fill(
        _ measures: [Measure],
        _ days: [CalendarDay],
        snapshotDay: CalendarDay?,
        from source: PGConnection
    ) async throws -> [StagedDay] {
        var staged: [StagedDay] = []
        for measure in measures {
            let wanted = measure.isSnapshot ? days.filter { $0 == snapshotDay } : days
            guard !wanted.isEmpty else { continue }
            if writes { try await prepare(measure) }
            for day in wanted {
                let before = try await stored(measure, day)
                let after = try await stage(measure, day, from: source)
                staged.append(StagedDay(measure: measure, day: day, before: before, after: after))
                progress.touch()
            }
        }
        return staged
    }

    func drop(_ measures: [Measure]) async throws {
        guard writes else { return }
        try await warehouse.execute(measures.map { "DROP TABLE IF EXISTS \(Self.table($0))" }.joined(separator: "; "))
    }

    private func prepare(_ measure: Measure) async throws {
        try await warehouse.execute(
            "DROP TABLE IF EXISTS \(Self.table(measure)); "
                + "CREATE TEMPORARY TABLE tallyman_stage_\(measure.name) AS "
                + "SELECT \(measure.columnList) FROM \(measure.table) WITH NO DATA"
        )
    }

    private func stage(_ measure: Measure, _ day: CalendarDay, from source: PGConnection) async throws -> RowDigest {
        var copied = 0
        // An aggregate says nothing until it is done: the statement's own limit watches over it.
        let silence = Silence(progress)
        defer { silence.end() }
        // The COPY begins with the first rows, so that a slow query does not hold it open.
        let digest = try await reader.read(measure, day, from: source) { buffer in
            silence.end()
            if writes {
                if copied == 0 {
                    try await warehouse.copyInStart(
                        "COPY \(Self.table(measure)) (\(measure.columnList)) FROM STDIN (FORMAT binary)"
                    )
                }
                try await warehouse.copyInSend(buffer.bytes)
            }
            copied += buffer.starts.count
            buffer.removeAll()
            progress.touch()
        }
        guard writes, copied > 0 else { return digest }
        let confirmed = try await warehouse.copyInFinish()
        guard confirmed == digest.count else {
            throw TallyError(
                .proofFailed,
                during: "analytics.stage",
                "\(measure.name): \(digest.count) rows were read, \(confirmed) arrived"
            )
        }
        return digest
    }

    /// The digest of what the warehouse holds of the day; of all rows where the measure has no history.
    private func stored(_ measure: Measure, _ day: CalendarDay) async throws -> RowDigest {
        let condition = measure.isSnapshot ? "" : " WHERE \(measure.dayColumn) = $1::text::date"
        let parameters: [PGValue] = measure.isSnapshot ? [] : [.text("\(day)")]
        var digest = RowDigest()
        try await warehouse.stream(
            "SELECT \(measure.columnList) FROM \(measure.table)" + condition,
            parameters
        ) { rows in
            var buffer = RowBuffer()
            for row in rows { buffer.append(row, width: measure.columns.count) { $1 } }
            for tuple in buffer.tuples { digest.add(tuple) }
            progress.touch()
        }
        return digest
    }
}
