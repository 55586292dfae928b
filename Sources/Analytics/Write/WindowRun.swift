import Engine
import Postgres
import Runtime

/// Carries one window from the source to the warehouse.
struct WindowRun: Sendable {
    let job: AnalyticsJob
    let catalog: SourceCatalog
    let measures: [Measure]
    let legacy: Bool
    let marks: DayMarks
    let backfill: Backfill?
    let plan: DayPlan
    private let erasures = ErasureList()

    init(
        job: AnalyticsJob,
        catalog: SourceCatalog,
        measures: [Measure],
        legacy: Bool,
        marks: DayMarks,
        backfill: Backfill?,
        plan: DayPlan
    ) {
        self.job = job
        self.catalog = catalog
        self.measures = measures
        self.legacy = legacy
        self.marks = marks
        self.backfill = backfill
        self.plan = plan
    }

    private struct Outcome: Sendable {
        let staged: [StagedDay]
        let written: Int
    }

    /// Tried again as a whole after a transient failure: nothing of it is kept but by its one commit.
    func carryOut(_ window: [CalendarDay], _ context: RunContext, _ tally: inout AnalyticsTally) async throws {
        let outcome = try await context.retrying("analytics.window") {
            try await job.warehouse.withConnection { try await attempt(window, context, $0) }
        }
        tally.days += window.count
        tally.extracted += outcome.staged.reduce(0) { $0 + $1.after.count }
        tally.loaded += outcome.written
        tally.changed += window.filter { day in outcome.staged.contains { $0.day == day && $0.isChanged } }
        context.progress.add(
            compared: outcome.staged.reduce(0) { $0 + $1.before.count },
            written: outcome.written
        )
        guard !context.options.dryRun else { return }
        for day in outcome.staged where day.isChanged {
            AnalyticsMetric.loaded(job.name, table: day.measure.table, rows: day.after.count)
        }
    }

    private func attempt(
        _ window: [CalendarDay],
        _ context: RunContext,
        _ warehouse: PGConnection
    ) async throws -> Outcome {
        // Rows without persons have nobody to leave out.
        let hasPersons = measures.contains { !$0.tokenColumns.isEmpty }
        let erased = hasPersons ? try await erasures.now(on: warehouse) : nil
        let stage = WindowStage(
            reader: WindowReader(
                settings: job.settings,
                schema: job.settings.schema,
                legacy: legacy,
                catalog: catalog,
                erased: erased ?? []
            ),
            warehouse: warehouse,
            writes: !context.options.dryRun,
            progress: context.progress
        )
        let items = try await stage.items(measures, window, snapshotDay: try await snapshotDay(warehouse))
        let staged = try await read(items, stage, context)
        try await context.failpoint.reach("analytics.staged")
        guard !context.options.dryRun else { return Outcome(staged: staged, written: 0) }
        let digests = Dictionary(grouping: staged, by: \.day)
            .mapValues { $0.reduce(into: RowDigest()) { $0.add($1.after) } }
        guard try await isNews(window, staged, digests, warehouse) else {
            try await stage.drop(measures)
            return Outcome(staged: staged, written: 0)
        }
        let written = try await context.write(on: warehouse, durable: true) { warehouse in
            let replacer = DayReplacer(runID: context.runID, erasures: erased?.count)
            let written = try await context.progress.patiently(job.settings.statementTimeout, on: warehouse) {
                try await replacer.replace(staged, on: warehouse)
            }
            try await marks.advance(ended(window), digests: digests, in: warehouse)
            if let backfill { try await marks.advance(backfill, window, of: plan, in: warehouse) }
            return written
        }
        try await stage.drop(measures)
        return Outcome(staged: staged, written: written)
    }

    /// Reads the window under one snapshot, through two sessions where one is to spare.
    private func read(_ items: [StageItem], _ stage: WindowStage, _ context: RunContext) async throws -> [StagedDay] {
        let timeout = job.settings.statementTimeout
        let isAssisted = job.spare.take()
        defer { if isAssisted { job.spare.giveBack() } }
        let assistant =
            isAssisted
            ? StageAssistant(
                source: job.source,
                progress: context.progress,
                statementTimeout: timeout,
                logger: context.logger
            ) : nil
        return try await job.withSource(context) { source in
            try await source.withTransaction(isolation: .repeatableRead, readOnly: true) { source in
                try await context.progress.limitReading(to: timeout, on: source)
                let staged = try await stage.fill(items, from: source, with: assistant)
                try await EmptySource(table: job.main.name(in: job.settings.schema), plan: plan)
                    .refuse(staged, source: source, warehouse: stage.warehouse)
                return staged
            }
        }
    }

    /// The run's last day, unless the warehouse already holds the state of a later one.
    private func snapshotDay(_ warehouse: PGConnection) async throws -> CalendarDay? {
        guard let last = plan.last, let measure = measures.first(where: \.isSnapshot) else { return nil }
        let stored = try await warehouse.query(
            "SELECT max(\(measure.dayColumn))::text FROM \(measure.table)"
        ).rows.first
        guard let cell = stored?[0], !cell.isNull, let newest = CalendarDay(try cell.string()) else { return last }
        return newest <= last ? last : nil
    }

    /// Only they are done and get a mark; the day under way would keep its half otherwise.
    private func ended(_ window: [CalendarDay]) -> [CalendarDay] { window.filter { $0 < plan.today } }

    /// Whether there is anything to write: rows, a first mark, a mark that somebody moved, or a backfill's window.
    private func isNews(
        _ window: [CalendarDay],
        _ staged: [StagedDay],
        _ digests: [CalendarDay: RowDigest],
        _ warehouse: PGConnection
    ) async throws -> Bool {
        if backfill != nil || staged.contains(where: \.isChanged) { return true }
        for day in ended(window)
        where try await marks.day(day, on: warehouse)?.value != (digests[day] ?? RowDigest()).hex {
            return true
        }
        return false
    }
}
