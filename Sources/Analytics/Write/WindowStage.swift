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

    /// What is to be read, with what the warehouse holds of it; makes the temporary tables.
    ///
    /// `snapshotDay` is the day that measures without a history are computed for.
    func items(_ measures: [Measure], _ days: [CalendarDay], snapshotDay: CalendarDay?) async throws -> [StageItem] {
        var items: [StageItem] = []
        for measure in measures {
            let wanted = measure.isSnapshot ? days.filter { $0 == snapshotDay } : days
            guard !wanted.isEmpty else { continue }
            if writes { try await prepare(measure) }
            for day in wanted {
                items.append(StageItem(measure: measure, day: day, before: try await stored(measure, day)))
                progress.touch()
            }
        }
        return items
    }

    /// Reads every item inside the open transaction of `source`, with the assistant's session at the same time where
    /// there is one.
    func fill(
        _ items: [StageItem],
        from source: PGConnection,
        with assistant: StageAssistant?
    ) async throws -> [StagedDay] {
        let queue = StageQueue(items)
        guard let assistant, items.count > 1 else {
            try await work(queue, source)
            return queue.staged
        }
        let snapshot = try await StageAssistant.snapshot(of: source)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await work(queue, source) }
            group.addTask { try await assistant.help(self, queue, snapshot) }
            // An assistant that still waits for its session has nothing left to do.
            for try await _ in group where queue.isDone && !queue.isAssisted { group.cancelAll() }
        }
        return queue.staged
    }

    /// Reads items until none is left.
    func work(_ queue: StageQueue, _ source: PGConnection) async throws {
        while let (place, item) = queue.next() {
            let after = try await item.measure.naming(item.day, during: "analytics.stage") {
                try await stage(item.measure, item.day, from: source, queue)
            }
            queue.finish(place, after)
            progress.touch()
        }
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

    private func stage(
        _ measure: Measure,
        _ day: CalendarDay,
        from source: PGConnection,
        _ queue: StageQueue
    ) async throws -> RowDigest {
        var copied = 0
        // An aggregate says nothing until it is done: the statement's own limit watches over it.
        let silence = Silence(progress)
        defer { silence.end() }
        // The COPY begins with the first rows, so that a slow query does not hold it open.
        let digest = try await reader.read(measure, day, from: source) { buffer in
            silence.end()
            if writes {
                if copied == 0 {
                    try await queue.occupySession()
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
        queue.freeSession()
        guard confirmed == digest.count else {
            throw TallyError(
                .proofFailed,
                during: "analytics.stage",
                "\(digest.count) rows were read, \(confirmed) arrived"
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
