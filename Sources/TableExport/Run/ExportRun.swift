import Engine
import Postgres
import Runtime

/// One run of one export, over as many attempts as transient failures ask for.
struct ExportRun {
    let job: TableExportJob
    let context: RunContext
    private let book = TallyBook()
    /// COPY straight into an empty target; given up when a row cannot stand there.
    private var mayBeDirect = true

    init(job: TableExportJob, context: RunContext) {
        self.job = job
        self.context = context
    }

    mutating func execute() async throws -> RunSummary {
        while true {
            do {
                return try await context.retrying("export.run") { try await attempt() }
            } catch let error as TallyError where mayBeDirect && error.kind == .constraintViolated {
                // Somebody else filled the table meanwhile: the staging table copes with rows that are there.
                mayBeDirect = false
            }
        }
    }

    private func attempt() async throws -> RunSummary {
        try await job.source.withConnection { from in
            try await job.target.withConnection { into in
                guard context.options.dryRun else { return try await attempt(from, into) }
                return try await Self.readOnly(into) { try await attempt(from, into) }
            }
        }
    }

    /// INV-10: what a dry run is lent cannot write, whatever it is told.
    private static func readOnly<Result>(_ into: PGConnection, _ body: () async throws -> Result) async throws -> Result
    {
        try await into.execute("SET default_transaction_read_only = on")
        do {
            let result = try await body()
            try await into.execute("RESET default_transaction_read_only")
            return result
        } catch {
            await into.abandon()
            // The session goes back to a pool that writes; one that cannot be reset is broken and is dropped.
            do { try await into.execute("RESET default_transaction_read_only") } catch { await into.close() }
            throw error
        }
    }

    private func attempt(_ from: PGConnection, _ into: PGConnection) async throws -> RunSummary {
        context.progress.stage("plan")
        // With an instant to begin at not everything is read, so nothing is accepted.
        let isFull = context.options.full == true && context.options.since == nil
        var state = try await ExportState.read(job.definition, key: job.watermarkKey, on: into)
        let identity = ExportIdentity(job.definition)
        if state.watermark != nil, !isFull { try state.identity?.check(job.definition) }
        var plan = try await job.plan(from, into, remembered: isFull ? nil : state.columns)
        var notices: [String] = []
        if !plan.additions.isEmpty, !context.options.dryRun {
            let additions = plan.additions
            notices = plan.notices
            try await context.write(on: into, durable: true) { connection in
                for addition in additions { try await connection.execute(addition) }
            }
            plan = try await job.plan(from, into, remembered: isFull ? nil : state.columns)
        }
        let stored = state.watermark
        let isOther = state.identity.map { !$0.changes(identity).isEmpty } ?? false
        if stored != nil, isOther {
            state.watermark = nil
            state.isReplaced = true
        }
        if stored == nil, !isFull, let taken = try await ExportState.takeOver(plan, on: into) {
            state.watermark = taken
            state.isTakenOver = true
        }
        // Kept before the first row: who edits the definition after a run that stumbled has a position already.
        let isKept = state.identity.map { !$0.isCompleted(by: identity) } ?? false
        if !isKept || (isOther && stored == nil), !context.options.dryRun {
            try await context.write(on: into, durable: false) { connection in
                try await identity.write(job.definition.key, on: connection)
            }
        }
        try await context.failpoint.reach("export.planned")
        let previous = SnapshotMark(state.watermark?.snapshot)
        var mark = try await SourceSnapshot.open(from).carrying(previous)
        if !plan.cursorType.isTime {
            let top = try await from.query("SELECT max(\(plan.cursor.sql))::int8 FROM \(plan.sourceSQL)").rows.first
            mark.numbers = .of(
                mark,
                top: try top.flatMap { $0[0].isNull ? nil : try $0[0].int64() },
                previous: previous
            )
        }
        try await context.failpoint.reach("export.snapshot")
        var pass = ExportPass(
            plan: plan,
            context: context,
            from: from,
            into: into,
            state: state,
            stored: stored,
            mark: mark,
            batchRows: context.options.batchSize ?? job.batchSize ?? job.definition.batchSize
                ?? ExportDefinition.batchDefault,
            key: job.watermarkKey,
            transform: job.transform,
            mayBeDirect: mayBeDirect,
            book: book,
            notices: notices
        )
        let summary = try await pass.run()
        try await from.rollback()
        return summary
    }
}
