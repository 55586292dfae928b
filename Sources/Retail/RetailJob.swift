package import Engine
package import Foundation
import Logging
package import Postgres
import Runtime
import Telemetry

/// The stages of the retail job, in their order.
package enum RetailStage: String, Sendable, CaseIterable { case bronze, silver, gold }

/// Source API → bronze files → silver tables → gold models, in this order, or one stage alone.
///
/// Each stage goes on where it stopped: bronze by its watermark, silver by the files without a mark, gold by what
/// differs. The run is proved by what files and server confirm: digests, record counts and command tags (INV-11).
package struct RetailJob: Job {
    package let name: JobName = "retail"
    package let knownOptions: Set<RunOptionName> = [.dryRun, .stage, .fromBronze, .full]
    package var targets: [PGPool] { [warehouse] }

    private let settings: RetailSettings
    private let warehouse: PGPool
    private let api: RetailAPI
    private let gold: GoldSettings
    private let now: @Sendable () -> Date

    package init(
        settings: RetailSettings,
        warehouse: PGPool,
        api: RetailAPI,
        gold: GoldSettings,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.settings = settings
        self.warehouse = warehouse
        self.api = api
        self.gold = gold
        self.now = now
    }

    package func run(_ context: RunContext) async throws -> RunSummary {
        let plan = try RetailPlan(context.options)
        let isWhole = try await context.retrying("retail.plan") { try await self.isWhole(plan, context) }
        let bronze = BronzeStage(
            settings: settings,
            source: RetailSource(api: api),
            warehouse: warehouse,
            context: context,
            now: now
        )
        if context.options.dryRun { return try await dryRun(plan, bronze, context) }
        do {
            return try await stages(plan, bronze, context, isWhole: isWhole)
        } catch {
            // What is behind must show just when a stage fails.
            await Uncancelled.run { await self.recordState(context) }
            throw error
        }
    }

    /// All stages, or the last of them behind a good silver, as an orchestrator runs each as a run of its own.
    private func isWhole(_ plan: RetailPlan, _ context: RunContext) async throws -> Bool {
        guard plan.stages == [.gold] else { return plan.stages == RetailStage.allCases }
        let runs = try await context.ledger?.runs(job: name, limit: 50) ?? []
        let before = runs.first { run in
            run.id != context.runID && !run.dryRun && run.state != .skipped && run.options["stage"] != "gold"
        }
        guard let before, before.options["stage"] == "silver", before.options["fromBronze"] == nil else { return false }
        return before.state == .succeeded || before.state == .partial
    }

    private func stages(
        _ plan: RetailPlan,
        _ bronze: BronzeStage,
        _ context: RunContext,
        isWhole: Bool
    ) async throws -> RunSummary {
        var counts: [String: Int] = [:]
        var details: [String: JSONValue] = [:]
        var deadLetters = 0
        if plan.stages.contains(.bronze) {
            let report = try await bronze.run()
            details["bronze"] = report.json
            counts["bronzeRecords"] = report.records.values.reduce(0, +)
            counts["bronzeFiles"] = report.files
            counts["newSales"] = report.newSales
            await recordState(context)
        }
        if plan.stages.contains(.silver) {
            let stage = SilverStage(settings: settings, warehouse: warehouse, context: context)
            let report = try await stage.run(fromDay: plan.fromDay)
            details["silver"] = report.json
            counts["silverWritten"] = report.written
            deadLetters += report.deadLetters
            await recordState(context)
        }
        if plan.stages.contains(.gold) {
            let report = try await GoldStage(settings: gold, warehouse: warehouse, context: context).run()
            details["gold"] = report.json
            counts["goldNodes"] = report.nodes.count
        }
        return RunSummary(
            counts: counts,
            details: .object(details),
            deadLetters: deadLetters,
            proof: .commandTags,
            isWhole: isWhole
        )
    }

    private func dryRun(_ plan: RetailPlan, _ bronze: BronzeStage, _ context: RunContext) async throws -> RunSummary {
        let dry = RetailDryRun(bronze: bronze, warehouse: warehouse, context: context)
        var details: [String: JSONValue] = [:]
        var counts = ["new": 0, "changed": 0, "bad": 0]
        func add(_ stage: RetailStage, _ found: [BronzeEntity: RetailDryRun.Findings]) {
            details[stage.rawValue] = .object(
                Dictionary(found.map { ($0.key.rawValue, $0.value.json) }, uniquingKeysWith: { $1 })
            )
            for one in found.values {
                counts["new", default: 0] += one.new
                counts["changed", default: 0] += one.changed
                counts["bad", default: 0] += one.bad
            }
        }
        if plan.stages.contains(.bronze) { add(.bronze, try await dry.source()) }
        if plan.stages.contains(.silver) { add(.silver, try await dry.files(fromDay: plan.fromDay)) }
        if plan.stages.contains(.gold) { details["gold"] = "a dry run builds no models" }
        return RunSummary(counts: counts, details: .object(details), deadLetters: 0, proof: .compareOnly)
    }

    /// How far silver is behind, as the warehouse says; whichever process loaded it, and whether its run failed.
    package func publish(_ newest: RunRecord?) async throws {
        let state = try await withDeadline(.seconds(10), during: "retail.state") {
            try await RetailState.read(warehouse)
        }
        RetailMetric.lag(state.lag)
        for (entity, instant) in state.freshAt { RetailMetric.fresh(entity, secondsSince1970: instant) }
    }

    /// The same at once; a measure that cannot be taken fails no run.
    private func recordState(_ context: RunContext) async {
        do {
            try await publish(nil)
        } catch {
            let ours = TallyError.wrapping(error, during: "retail.state")
            context.logger.event(
                .warning,
                "lag and freshness could not be measured",
                [.runID: "\(context.runID)", .error: "\(ours)"]
            )
        }
    }
}

/// Which stages a run goes through, and where silver begins.
struct RetailPlan: Sendable, Equatable {
    let stages: [RetailStage]
    let fromDay: String?

    /// Throws `.requestInvalid` for a stage or a day that is none, and for a replay of a stage that reads no files.
    init(_ options: RunOptions) throws {
        func refuse(_ what: String) -> TallyError { TallyError(.requestInvalid, during: "retail.plan", what) }
        var chosen: RetailStage?
        if let text = options.stage {
            guard let stage = RetailStage(rawValue: text) else {
                throw refuse("the stages are bronze, silver and gold")
            }
            chosen = stage
        }
        if let day = options.fromBronze {
            let bytes = Array(day.utf8)
            guard bytes.count == 10, InstantText.microseconds(bytes.span, 0, 10) != nil else {
                throw refuse("--from-bronze takes a day, YYYY-MM-DD")
            }
            guard chosen == nil || chosen == .silver else { throw refuse("--from-bronze belongs to the stage silver") }
            // A replay needs no source: bronze is left out.
            stages = chosen.map { [$0] } ?? [.silver, .gold]
            fromDay = day
            return
        }
        stages = chosen.map { [$0] } ?? RetailStage.allCases
        fromDay = nil
    }
}
