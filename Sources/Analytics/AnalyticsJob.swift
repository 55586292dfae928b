package import Engine
package import Foundation
import Logging
package import Postgres
import Runtime
import Telemetry

/// Computes one area's measures day by day and replaces what changed in the warehouse.
///
/// The source computes the figures; a day is replaced as a whole in one transaction with its watermark (INV-1), and a
/// day whose figures are the same is not touched. Identifiers of persons become tokens in memory; nothing else of a
/// person is read.
package struct AnalyticsJob: Job {
    package let name: JobName
    package let family: String? = "analytics"
    package let knownOptions: Set<RunOptionName> = [
        .dryRun, .date, .startDate, .endDate, .daysBack, .batchDays, .backfill,
    ]
    package var targets: [PGPool] { [warehouse] }

    package let measures: [Measure]
    package let main: SourceTable
    let settings: AnalyticsSettings
    let source: PGPool
    let warehouse: PGPool
    let spare: SpareSessions
    private let now: @Sendable () -> Date

    /// `source` must be a pool of read-only sessions whose time zone is UTC; `spare` says how many of them a job may
    /// have beside its own.
    package init(
        _ name: JobName,
        main: SourceTable,
        measures: [Measure],
        settings: AnalyticsSettings,
        source: PGPool,
        warehouse: PGPool,
        spare: SpareSessions = SpareSessions(0),
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.name = name
        self.main = main
        self.measures = measures
        self.settings = settings
        self.source = source
        self.warehouse = warehouse
        self.spare = spare
        self.now = now
    }

    /// The four areas in the order people name them.
    package static let areas: [(name: JobName, main: SourceTable, measures: [Measure])] = [
        ("user_analytics", .users, Measure.ofUsers), ("order_analytics", .orders, Measure.ofOrders),
        ("payment_analytics", .payments, Measure.ofPayments),
        ("notification_analytics", .notifications, Measure.ofNotifications),
    ]

    /// The four jobs in the order of `areas`. What the source's pool has beyond one session for each is lent to
    /// whichever of them asks first, so that all four can always run at once.
    package static func all(
        settings: AnalyticsSettings,
        source: PGPool,
        warehouse: PGPool,
        now: @escaping @Sendable () -> Date = { Date() }
    ) -> [AnalyticsJob] {
        let spare = SpareSessions(source.maxConnections - areas.count)
        return areas.map { name, main, measures in
            AnalyticsJob(
                name,
                main: main,
                measures: measures,
                settings: settings,
                source: source,
                warehouse: warehouse,
                spare: spare,
                now: now
            )
        }
    }

    package func run(_ context: RunContext) async throws -> RunSummary {
        context.progress.stage("plan")
        let catalog = try await context.retrying("analytics.catalog") {
            try await source.withConnection { try await SourceCatalog.read($0) }
        }
        let legacy = try catalog.legacy(settings)
        var tally = AnalyticsTally()
        let split = try catalog.split(measures, main: main, schema: settings.schema)
        tally.off = split.off
        tell(context, legacyIgnored: legacy.isIgnored, off: split.off)
        let marks = DayMarks(job: name)
        let today = CalendarDay(of: now(), in: settings.zone)
        let computed = try await warehouse.withConnection { warehouse in
            try await marks.computed(through: today.advanced(by: -1), on: warehouse)
        }
        let plan = try DayPlan(
            context.options,
            today: today,
            lookbackDays: settings.lookbackDays,
            computed: computed
        )
        let backfill = try await backfill(plan, marks, context)
        // What an earlier run of the backfill did costs nothing and must not look like speed.
        let done = backfill?.done ?? []
        context.progress.total = plan.windows.filter { !done.contains($0[0]) }.reduce(0) { $0 + $1.count }
        let run = WindowRun(
            job: self,
            catalog: catalog,
            measures: split.on,
            legacy: legacy.isOn,
            marks: marks,
            backfill: backfill,
            plan: plan
        )
        for window in plan.windows {
            context.progress.stage("\(window[0])")
            if done.contains(window[0]) {
                tally.daysResumed += window.count
                continue
            }
            try await run.carryOut(window, context, &tally)
            context.progress.add(read: window.count)
        }
        return RunSummary(
            counts: tally.counts,
            details: tally.details,
            deadLetters: 0,
            proof: context.options.dryRun ? .compareOnly : .commandTags,
            isWhole: plan.last.map { $0 >= today.advanced(by: -1) } ?? false
        )
    }

    /// Lends a session of the source; waiting for one is no stall.
    func withSource<Result: Sendable>(
        _ context: RunContext,
        _ body: (PGConnection) async throws -> Result
    ) async throws -> Result {
        let silence = Silence(context.progress)
        defer { silence.end() }
        return try await source.withConnection { connection in
            silence.end()
            return try await body(connection)
        }
    }

    /// The backfill to go on with, or a new one.
    private func backfill(_ plan: DayPlan, _ marks: DayMarks, _ context: RunContext) async throws -> Backfill? {
        guard plan.isBackfill, !context.options.dryRun else { return nil }
        return try await warehouse.withConnection { connection in
            try await marks.backfill(plan, context.runID, on: connection)
        }
    }

    private func tell(_ context: RunContext, legacyIgnored: Bool, off: [(measure: String, reason: String)]) {
        if settings.readsV1 {
            context.logger.event(
                .warning,
                "the v1 tables are deprecated: they hold personal data; set ENABLE_V1_SCHEMA=false once v2 is there",
                [.job: name.rawValue]
            )
        }
        if legacyIgnored {
            context.logger.event(
                .warning,
                "ENABLE_LEGACY_ETL is ignored while the v2 tables are read",
                [.job: name.rawValue]
            )
        }
        guard !off.isEmpty else { return }
        context.logger.event(
            .warning,
            "measures are off: the source lacks what they need",
            [.job: name.rawValue, .reason: off.map { "\($0.measure): \($0.reason)" }.joined(separator: "; ")]
        )
    }
}
