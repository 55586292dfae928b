import ConfigFile
package import Engine
import Foundation
import Logging
package import Postgres
import Runtime
import Telemetry

/// Sessions of all exports together: a run holds one on each side, and must not starve the next for its second.
package struct ExportSlots: Sendable {
    private let slots: BoundedChannel<Void>

    /// - Parameter count: exports that may work at the same time.
    package init(count: Int) { slots = BoundedChannel(capacity: count) }

    func withSlot<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        try await slots.send(())
        defer { slots.takeNow() }
        return try await body()
    }
}

/// Brings what changed in a table of one PostgreSQL server to a table of another.
///
/// One run reads the source under one snapshot: what lies past the position of the last run, and what became visible
/// behind it since. Each batch commits with its position (INV-1); reading a row twice changes nothing (INV-3).
package struct TableExportJob: Job {
    package static let familyName = "export_to_pg"

    package let name: JobName
    package let knownOptions: Set<RunOptionName> = [.dryRun, .batchSize, .since, .full, .verify, .definition]
    package var family: String? { Self.familyName }
    package var targets: [PGPool] { [target] }

    let definition: ExportDefinition
    let source: PGPool
    let target: PGPool
    let batchSize: Int?
    let transform: ExportTransform?
    let lookback: Lookback?
    let slots: ExportSlots

    /// - Parameters:
    ///   - batchSize: rows of a batch, over what the definition says.
    ///   - lookback: over what the definition says.
    package init(
        definition: ExportDefinition,
        source: PGPool,
        target: PGPool,
        batchSize: Int? = nil,
        transform: ExportTransform? = nil,
        lookback: Lookback? = nil,
        slots: ExportSlots
    ) {
        name = JobName(rawValue: "\(Self.familyName).\(definition.key)")
        self.definition = definition
        self.source = source
        self.target = target
        self.batchSize = batchSize
        self.transform = transform
        self.lookback = lookback
        self.slots = slots
    }

    /// What the last verification left, whichever process made it; a dry run's where nothing came after that.
    package func publish(_ newest: RunRecord?) async throws {
        let kept = try await withDeadline(.seconds(10), during: "export.state") {
            try await target.withConnection { try await ExportDrift.read(definition.key, on: $0) }
        }
        var drift = kept?.drift
        if let newest, newest.dryRun, let found = ExportDrift(counts: newest.summary?["counts"]?.object ?? [:]),
            (newest.finishedAt ?? .distantPast) > (kept?.at ?? .distantPast)
        {
            drift = found
        }
        if let drift { ExportMetric.verified(drift, job: name) }
    }

    package func run(_ context: RunContext) async throws -> RunSummary {
        context.progress.stage("wait")
        context.progress.note(waiting: true)
        return try await slots.withSlot {
            context.progress.note(waiting: false)
            var run = ExportRun(job: self, context: context)
            let started = ContinuousClock.now
            let summary = try await run.execute().lasting(
                started.duration(to: .now),
                isWhole: context.options.since == nil
            )
            if !context.options.dryRun {
                ExportMetric.written(summary, job: name, table: definition.destination.table.text)
            }
            context.logger.event(.info, "table export ended", logged(summary, context))
            return summary
        }
    }

    private func logged(_ summary: RunSummary, _ context: RunContext) -> [LogKey: String] {
        [
            .job: name.rawValue, .runID: "\(context.runID)", .count: "\(summary.counts["read"] ?? 0)",
            .rowCount: "\(summary.counts["written"] ?? 0)", .unchanged: "\(summary.counts["unchanged"] ?? 0)",
            .durationMS: "\(summary.counts["durationMS"] ?? 0)", .position: summary.details["cursor"]?.string ?? "",
        ]
    }

    /// Compiles the definition against both catalogs as they are now, and writes nothing; what its run would say.
    package func check() async throws -> [String] {
        try await source.withConnection { from in
            try await target.withConnection { into in
                let state = try await ExportState.read(definition, key: watermarkKey, on: into)
                if state.watermark != nil { try state.identity?.check(definition) }
                return try await plan(from, into, remembered: state.columns).notices
            }
        }
    }

    var watermarkKey: WatermarkKey {
        WatermarkKey(source: Self.familyName, table: definition.key, accountID: "")
    }

    func plan(_ from: PGConnection, _ into: PGConnection, remembered: [String: String]?) async throws -> ExportPlan {
        var planner = ExportPlanner(definition: definition, lookback: lookback, remembered: remembered)
        return try await planner.plan(source: from, target: into)
    }
}

extension RunSummary {
    /// With how long the run took among its counts, where reports to people look.
    fileprivate func lasting(_ duration: Duration, isWhole: Bool) -> RunSummary {
        let parts = duration.components
        var counts = counts
        counts["durationMS"] = Int(parts.seconds * 1_000 + parts.attoseconds / 1_000_000_000_000_000)
        return RunSummary(
            counts: counts,
            details: details,
            deadLetters: deadLetters,
            proof: proof,
            isWhole: isWhole
        )
    }
}
