package import Engine
package import Foundation
package import Postgres
import Runtime

/// Computes the measures of the same days from the v1 and from the v2 tables and lists where they differ.
///
/// Both are read under one snapshot; v1 identifiers become tokens in memory. Nothing is written. Memory is bounded
/// whatever the tables hold: digests first, then only rows that differ, up to a ceiling.
package struct MigrationReport: Job {
    package let name: JobName = "analytics_migration_report"
    package let knownOptions: Set<RunOptionName> = [.dryRun, .date, .startDate, .endDate, .daysBack]
    package let targets: [PGPool] = []
    /// Differences that are listed; further ones are counted.
    static let listMax = 200

    let settings: AnalyticsSettings
    let source: PGPool
    private let now: @Sendable () -> Date

    /// `source` must be a pool of read-only sessions whose time zone is UTC.
    package init(
        settings: AnalyticsSettings,
        source: PGPool,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.settings = settings
        self.source = source
        self.now = now
    }

    package func run(_ context: RunContext) async throws -> RunSummary {
        let plan = try DayPlan(
            context.options,
            today: CalendarDay(of: now(), in: settings.zone),
            lookbackDays: 0
        )
        context.progress.total = plan.days.count
        let report = try await context.retrying("analytics.compare") {
            try await source.withConnection { try await compare(plan, context, $0) }
        }
        return RunSummary(
            counts: [
                "days": plan.days.count, "measuresCompared": report.compared.count,
                "measuresOff": report.off.count, "rowsV1": report.rowsV1, "rowsV2": report.rowsV2,
                "differences": report.count,
            ],
            details: report.details,
            deadLetters: 0,
            proof: .compareOnly
        )
    }

    private func compare(
        _ plan: DayPlan,
        _ context: RunContext,
        _ source: PGConnection
    ) async throws -> DifferenceList {
        let catalog = try await SourceCatalog.read(source)
        var report = DifferenceList()
        let measures = try self.measures(catalog, &report)
        return try await source.withTransaction(isolation: .repeatableRead, readOnly: true) { source in
            try await context.progress.limitStatements(to: settings.statementTimeout, on: source)
            for day in plan.days {
                context.progress.stage("\(day)")
                for measure in measures where !measure.isSnapshot || day == plan.last {
                    let comparison = SchemaComparison(
                        measure: measure,
                        day: day,
                        settings: settings,
                        catalog: catalog,
                        progress: context.progress
                    )
                    try await measure.naming(day, during: "analytics.compare") {
                        try await comparison.carryOut(on: source, into: &report)
                    }
                }
                context.progress.add(read: 1)
            }
            return report
        }
    }

    /// The measures that both schemas can give.
    private func measures(_ catalog: SourceCatalog, _ report: inout DifferenceList) throws -> [Measure] {
        var chosen: [Measure] = []
        for (main, measures) in AnalyticsJob.areas.map({ ($0.main, $0.measures) }) {
            let v1 = try catalog.split(measures, main: main, schema: .v1)
            let v2 = try catalog.split(measures, main: main, schema: .v2)
            let off = v1.off + v2.off
            report.off += off
            report.compared += v1.on.map(\.name).filter { name in !off.contains { $0.measure == name } }
            chosen += v1.on.filter { measure in !off.contains { $0.measure == measure.name } }
        }
        guard !chosen.isEmpty else {
            throw TallyError(.schemaMismatch, during: "analytics.compare", "there is no measure that both schemas give")
        }
        return chosen
    }
}
