import Engine
import Postgres
import Runtime
import Telemetry

/// One reading of the source under one snapshot, and what became of it.
struct ExportPass {
    let plan: ExportPlan
    let context: RunContext
    let from: PGConnection
    let into: PGConnection
    let state: ExportState
    /// The position as the target holds it; nil when it holds none, also when one was taken over.
    let stored: Watermark?
    let mark: SnapshotMark
    let batchRows: Int
    let key: WatermarkKey
    let transform: ExportTransform?
    let mayBeDirect: Bool
    let book: TallyBook
    /// What was said before the target was altered.
    private(set) var notices: [String]

    private var statement: ReadStatement { ReadStatement(plan: plan) }
    var position: Position? { Position(state.watermark, type: plan.cursorType) }

    /// What this run reads, decided before anything is.
    private struct Reading {
        /// Behind the position; nil for nothing.
        var behind: String?
        /// In the order of the position.
        var ahead: String
        /// The position moves with each batch; else only at the end, or not at all.
        var movesOn: Bool
        /// The position may move at the end.
        var movesAtEnd: Bool
        var backward: BackwardRead
        /// Partitions that are new.
        var attached = 0
    }

    mutating func run() async throws -> RunSummary {
        try await checkTarget()
        let reading = try await reading()
        if reading.attached > 0 {
            notices.append("partitions that were attached since the last run are read whole: \(reading.attached)")
        }
        guard !context.options.dryRun else { return try await dryRun(reading) }
        let open = plan.setsAside ? try await context.deadLetters.openFingerprints(in: into) : [:]
        let writer = BatchWriter(
            plan: plan,
            context: context,
            connection: into,
            key: key,
            stored: stored,
            isDirect: try await isDirect(reading),
            book: book,
            openKeys: Set(open.keys)
        )
        var stream = ExportStream(plan: plan, from: from, batchRows: batchRows, transform: transform, writer: writer)
        if let behind = reading.behind {
            context.progress.stage("late rows")
            try await stream.run(behind, mark: nil, isLate: true)
            try await context.failpoint.reach("export.lateDone")
        }
        // Letters that an operator wants tried again have lost their fingerprint.
        let again = open.filter { $0.value.isEmpty }.keys.sorted()
        if !again.isEmpty {
            try await stream.run(statement.keys(again), mark: nil, isLate: true)
            try await noteLost(again)
        }
        context.progress.stage("rows")
        let last = try await stream.run(
            reading.ahead,
            mark: reading.movesOn ? mark : nil,
            isLate: false
        )
        var end: Position?
        if reading.movesAtEnd { end = try await furthest(last) }
        let compared = try await DeletedKeys(
            plan: plan,
            context: context,
            from: from,
            into: into,
            state: state,
            book: book
        ).run()
        let (plan, isReplaced) = (plan, state.isReplaced)
        let isAll = context.options.full == true && context.options.since == nil
        try await stream.writer.finish(end, mark: mark, replaces: isReplaced) { connection in
            try await ExportState.write(plan, compared: compared, on: connection)
            if isReplaced { try await ExportIdentity(plan.definition).write(plan.definition.key, on: connection) }
            if isAll { try await ExportDrift.settle(plan.definition.key, on: connection) }
        }
        try await context.failpoint.reach("export.finished")
        try await stream.writer.dropStage()
        var report = ExportReport(plan: plan, tally: book.tally, backward: reading.backward, end: end ?? last)
        report.notices += notices
        report.isTakenOver = state.isTakenOver
        report.withoutCursor = try await rowsWithoutCursor()
        if context.options.verify == true { report.verified = try await verify(failing: true) }
        return report.summary
    }

    private func reading() async throws -> Reading {
        if let since = context.options.since {
            try await checkSince(since)
            // Rows between the position, or the beginning, and a later instant were not read, so the position stays.
            return Reading(
                behind: nil,
                ahead: statement.from(since),
                movesOn: false,
                movesAtEnd: false,
                backward: .nothing
            )
        }
        guard let position, context.options.full != true else {
            return Reading(
                behind: nil,
                ahead: statement.everything,
                movesOn: stored == nil,
                movesAtEnd: true,
                backward: .nothing
            )
        }
        let previous = SnapshotMark(state.watermark?.snapshot)
        let backward = BackwardRead.decide(
            previous: previous,
            now: mark,
            lookback: plan.lookback,
            xminHidden: plan.xminHidden
        )
        let attached = try await attachedParts(since: previous, backward)
        return Reading(
            behind: statement.behind(position, previous: previous, now: mark, read: backward, attached: attached),
            ahead: statement.past(position),
            movesOn: true,
            movesAtEnd: true,
            backward: backward,
            attached: attached.count
        )
    }

    /// Letters whose row is no more would be tried again by each run, and nobody would know why they stay.
    private mutating func noteLost(_ keys: [String]) async throws {
        // Without "skip": it may be what the source cannot compute of such a row.
        let sql = "SELECT DISTINCT \(statement.keyText) FROM \(plan.sourceSQL) WHERE \(statement.keys(keys))"
        let lost = Set(keys).subtracting(try await from.query(sql).rows.map { try $0[0].string() }).count
        guard lost > 0 else { return }
        notices.append(
            "dead letters to be tried again found no row in the source under their keys: \(lost); "
                + "`tallyman dead-letters discard` closes them"
        )
    }

    private func checkSince(_ text: String) async throws {
        do {
            _ = try await from.query("SELECT \(PGIdentifier.quoteLiteral(text))::\(plan.cursorType.sql)")
        } catch let error as TallyError where error.kind == .recordMalformed {
            throw TallyError(
                .requestInvalid,
                during: "export.since",
                "\"since\" is no \(plan.cursorType.sql)",
                cause: error
            )
        }
    }

    /// The further of the old position and the last row: a position never goes back (INV-2).
    private func furthest(_ last: Position?) async throws -> Position? {
        guard let last else { return position }
        guard let position, context.options.full == true else { return last }
        let isPast = try await from.query("SELECT \(statement.isNotBehind(last, position))").rows.first?[0].bool()
        return isPast == true ? last : position
    }

    /// Whether COPY may go straight into the target: nothing is there yet, so nothing can be in the way.
    private func isDirect(_ reading: Reading) async throws -> Bool {
        guard mayBeDirect, plan.mayCopyDirectly, plan.isKeyUnique, reading.movesOn, reading.behind == nil else {
            return false
        }
        return try await into.query("SELECT 1 FROM \(plan.targetSQL) LIMIT 1").rows.isEmpty
    }

    private func rowsWithoutCursor() async throws -> Int {
        guard plan.cursor.isNullable else { return 0 }
        let limit = ExportReport.withoutCursorMax + 1
        return try await from.query(
            "SELECT count(*) FROM (\(statement.select(["1"], where: "\(plan.cursor.sql) IS NULL")) LIMIT \(limit)) n"
        ).rows.first?[0].int() ?? 0
    }

    private func dryRun(_ reading: Reading) async throws -> RunSummary {
        context.progress.stage("count")
        var tally = ExportTally()
        for (condition, isLate) in [(reading.behind, true), (reading.ahead, false)] {
            guard let condition else { continue }
            let rows = try await from.query(statement.count(where: condition)).rows.first?[0].int() ?? 0
            tally.read += rows
            if isLate { tally.late += rows }
        }
        var report = ExportReport(plan: plan, tally: tally, backward: reading.backward, end: position)
        report.notices += notices
        report.isDryRun = true
        report.isTakenOver = state.isTakenOver
        report.withoutCursor = try await rowsWithoutCursor()
        if context.options.verify == true { report.verified = try await verify(failing: false) }
        return report.summary
    }

    private func verify(failing: Bool) async throws -> Verification.Result {
        context.progress.stage("verify")
        // Rows that were set aside are known to be missing or stale.
        let aside = plan.setsAside ? Set(try await context.deadLetters.openFingerprints(in: into).keys) : []
        let result = try await Verification(
            plan: plan,
            from: from,
            into: into,
            progress: context.progress,
            aside: aside
        ).run()
        ExportMetric.verified(result.drift, job: context.job)
        guard failing else { return result }
        let key = plan.definition.key
        try await context.write(on: into, durable: true) { try await result.drift.write(key, on: $0) }
        guard !result.isClean else { return result }
        throw TallyError(
            .proofFailed,
            during: "export.verify",
            "after the export \(result.missing) rows are missing in \(plan.targetSQL) and \(result.stale) stale"
                + (result.keys.isEmpty ? "" : ", first keys: \(result.keys.prefix(5).joined(separator: "; "))"),
            remedy:
                "Run once more with --full to repair all; rows that change without their cursor need `lookback: all`."
        )
    }
}
