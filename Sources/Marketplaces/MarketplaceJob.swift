package import Engine
package import Foundation
import Logging
package import Postgres
import Runtime
import Telemetry

/// What a run lends to the sources it makes.
package struct PullTools: Sendable {
    package let throttle: Throttle
    /// The run's start; with a synthetic shop, the instant it is asked about.
    package let now: Date
    /// The upper bound that was asked for, if any.
    package let until: Date?
    package let clock: @Sendable () -> Date
}

/// One account's shop or marketplace, not opened yet.
package struct AccountPull: Sendable {
    package let accountID: String
    package let scope: String
    /// Makes the source; may ask the vendor.
    package let open: @Sendable () async throws -> any MarketplaceSource

    package init(accountID: String, scope: String, open: @escaping @Sendable () async throws -> any MarketplaceSource) {
        self.accountID = accountID
        self.scope = scope
        self.open = open
    }

    func isChosen(_ account: String?) -> Bool {
        account.map { [accountID, scope].contains($0) } ?? true
    }
}

/// Pulls one marketplace: every configured account alone, its pipelines in order.
///
/// One account's failure does not stop the others; the run then fails with the first of them. A second run of the
/// same window changes nothing.
package struct MarketplaceJob: Job {
    package typealias MakePulls = @Sendable (PullTools) async throws -> [AccountPull]

    package let name: JobName
    package let knownOptions: Set<RunOptionName> = [.dryRun, .pipeline, .since, .until, .full, .account]
    private let target: PGPool
    private let state: PGPool
    private let budget: Duration
    private let clock: @Sendable () -> Date
    private let makePulls: MakePulls

    /// `budget` is how long a run may take before it ends with what it has.
    package init(
        name: JobName,
        target: PGPool,
        state: PGPool,
        budget: Duration = .seconds(3_000),
        clock: @escaping @Sendable () -> Date = { Date() },
        pulls: @escaping MakePulls
    ) {
        self.name = name
        self.target = target
        self.state = state
        self.budget = budget
        self.clock = clock
        makePulls = pulls
    }

    package var targets: [PGPool] { [target] }

    package func run(_ context: RunContext) async throws -> RunSummary {
        let options = context.options
        let pipelines = try Self.pipelines(options.pipeline)
        let since = try Self.instant(options.since, "since")
        let until = try Self.instant(options.until, "until")
        let now = clock()
        // INV-10: a dry run writes nothing, buckets included.
        let limits: any RateLimiting = options.dryRun ? LocalRateLimits() : SharedRateLimits(state: state)
        let throttle = Throttle(
            limits: limits,
            progress: context.progress,
            budgetEnds: Date().addingTimeInterval(budget.inSeconds)
        )
        let tools = PullTools(throttle: throttle, now: now, until: until, clock: clock)
        let configured = try await makePulls(tools)
        let pulls = configured.filter { $0.isChosen(options.account) }
        guard !pulls.isEmpty else { throw Self.nobody(name, isConfigured: !configured.isEmpty) }
        let types = try await target.withConnection { try await ColumnTypes.read(on: $0) }
        if !options.dryRun { try await makeMonths(now, context) }
        var tally = RunTally()
        for pull in pulls {
            do {
                let source = try await context.retrying("marketplace.open") { try await pull.open() }
                let store = MarketplaceStore(scope: source.scope, types: types)
                let puller = Puller(context: context, source: source, store: store, target: target, now: now)
                if let failure = try await self.pull(pipelines, puller, since, until, &tally) {
                    tally.failures.append((pull.scope, failure))
                }
            } catch is PullPaused {
                tally.counts["paused", default: 0] += 1
            } catch {
                try Self.rethrowUnlessLocal(error)
                tally.failures.append((pull.scope, TallyError.wrapping(error, during: "marketplace.pull")))
            }
        }
        let isWhole = pipelines == Pipeline.allCases && options.given.isDisjoint(with: [.account, .since, .until])
        return try summary(tally, of: pulls.count, context, isWhole: isWhole)
    }

    private static func nobody(_ job: JobName, isConfigured: Bool) -> TallyError {
        if isConfigured {
            return TallyError(.requestInvalid, during: "marketplace.run", "no configured account is called that")
        }
        return TallyError(
            .settingsInvalid,
            during: "marketplace.run",
            "no account of \(job) is configured",
            remedy: job == "amazon"
                ? "Set AMAZON_REFRESH_TOKEN with AMAZON_LWA_CLIENT_ID and AMAZON_LWA_CLIENT_SECRET, or MOCK=1."
                : "Set SHOPIFY_SHOP with SHOPIFY_CLIENT_ID and SHOPIFY_CLIENT_SECRET, or MOCK=1."
        )
    }

    /// Each pipeline, whatever became of those before it; gives the first failure.
    ///
    /// Throws at once what concerns the whole run; a refused token leaves the account's other pipelines unread, and
    /// listings wait for products that could not be read, to which they are linked.
    private func pull(
        _ pipelines: [Pipeline],
        _ puller: Puller,
        _ since: Date?,
        _ until: Date?,
        _ tally: inout RunTally
    ) async throws -> TallyError? {
        var first: TallyError?
        for pipeline in pipelines {
            // A refused sweep comes after the products: those are there.
            if pipeline == .listings, let first, first.kind != .changeImplausible { continue }
            do {
                try await pull(pipeline, puller, since, until, &tally)
            } catch {
                try Self.rethrowUnlessLocal(error)
                let failure = TallyError.wrapping(error, during: "marketplace.pull")
                first = first ?? failure
                puller.context.logger.event(
                    .error,
                    "a pipeline could not be read",
                    [
                        .job: name.rawValue, .key: "\(puller.scope.scope)/\(pipeline.rawValue)",
                        .kind: failure.kind.rawValue,
                    ]
                )
                if failure.kind == .credentialsRejected { return first }
            }
        }
        return first
    }

    private func pull(
        _ pipeline: Pipeline,
        _ puller: Puller,
        _ since: Date?,
        _ until: Date?,
        _ tally: inout RunTally
    ) async throws {
        let started = ContinuousClock.now
        let scope = puller.source.scope
        do {
            let result = try await puller.pull(pipeline, since: since, until: until)
            if !puller.context.options.dryRun {
                let check = DerivedCheck(scope: scope, types: puller.store.types)
                if try await check.check(pipeline, in: target) { tally.isCompared = true }
            }
            tally.add(result, pipeline, scope)
            if pipeline == .sales, !result.isPaused, !puller.context.options.dryRun {
                tally.add(try await control(puller, until: result.until), scope)
            }
            MarketplaceMetric.took(source: scope.source, pipeline: pipeline, started.duration(to: .now))
        } catch {
            MarketplaceMetric.failed(source: scope.source, stage: pipeline.rawValue)
            throw error
        }
    }

    /// The vendor's own sums beside ours: without them, what was read stands all the same.
    private func control(_ puller: Puller, until: Date) async throws -> ControlCheck.Outcome {
        do {
            return try await ControlCheck(puller: puller).check(until: until)
        } catch {
            try Self.rethrowUnlessLocal(error)
            let kind = TallyError.wrapping(error, during: "marketplace.control").kind
            puller.context.logger.event(
                .warning,
                "stored sales could not be held against the vendor's own daily sums",
                [.key: puller.scope.scope, .kind: kind.rawValue]
            )
            return ControlCheck.Outcome(failed: kind)
        }
    }

    private func makeMonths(_ now: Date, _ context: RunContext) async throws {
        try await target.withConnection { connection in
            try await context.write(on: connection, durable: false) { connection in
                _ = try await connection.query(
                    """
                    SELECT marketplace.ensure_months(parent, $1, $1 + interval '3 months')
                    FROM unnest(ARRAY['public.sales_ts', 'public.fees_ts']::regclass[]) AS parent
                    """,
                    [.timestamp(now)]
                )
            }
        }
    }

    private func summary(
        _ tally: RunTally,
        of accounts: Int,
        _ context: RunContext,
        isWhole: Bool
    ) throws -> RunSummary {
        if let (scope, first) = tally.failures.first {
            for failure in tally.failures {
                context.logger.event(
                    .error,
                    "an account could not be pulled",
                    [.job: name.rawValue, .key: failure.scope, .kind: failure.error.kind.rawValue]
                )
            }
            throw TallyError(
                first.kind,
                during: "marketplace.pull",
                "\(tally.failures.count) of \(accounts) accounts failed, \(scope) with: \(first.summary)",
                remedy: first.remedy,
                cause: first
            )
        }
        let paused = tally.counts["paused", default: 0]
        if paused > 0, tally.completed == 0, tally.counts["pages"] == 0 {
            throw TallyError(
                .serverBusy,
                during: "marketplace.pull",
                "the vendor let no account be read within a run's time",
                remedy: "Nothing was lost, and the next run asks again. Look at who else uses the application's quota."
            )
        }
        return RunSummary(
            counts: tally.counts,
            details: ["accounts": .object(tally.details)],
            deadLetters: tally.refused,
            proof: context.options.dryRun ? .compareOnly : tally.isCompared ? .fullCompare : .commandTags,
            isWhole: isWhole && paused == 0
        )
    }

    // MARK: Options

    private static func pipelines(_ text: String?) throws -> [Pipeline] {
        guard let text, text != "all" else { return Pipeline.allCases }
        guard let one = Pipeline(rawValue: text) else {
            throw TallyError(
                .requestInvalid,
                during: "marketplace.options",
                "there is no such pipeline",
                remedy: "Pipelines are all, \(Pipeline.allCases.map(\.rawValue).joined(separator: ", "))."
            )
        }
        return [one]
    }

    private static func instant(_ text: String?, _ option: String) throws -> Date? {
        guard let text else { return nil }
        guard let date = WireTime.instant(text) else {
            throw TallyError(
                .requestInvalid,
                during: "marketplace.options",
                "\(option) is no ISO 8601 instant such as 2026-01-15T10:30:00Z"
            )
        }
        return date
    }

    /// What concerns the whole run goes on; what concerns one account stays with it.
    private static func rethrowUnlessLocal(_ error: any Error) throws {
        try Task.checkCancellation()
        let kind = TallyError.wrapping(error, during: "marketplace.pull").kind
        switch kind {
        case .cancelled, .leaseLost, .targetUnreachable, .tooManyDeadLetters, .migrationsMissing: throw error
        default: return
        }
    }
}

/// What a run adds up over its accounts and pipelines.
private struct RunTally {
    var counts: [String: Int] = ["records": 0, "changed": 0, "pages": 0, "marked": 0, "paused": 0]
    var details: [String: JSONValue] = [:]
    var refused = 0
    /// Pipelines that were read to their end.
    var completed = 0
    /// What is derived was compared with what it is derived from.
    var isCompared = false
    var failures: [(scope: String, error: TallyError)] = []

    mutating func add(_ control: ControlCheck.Outcome, _ scope: SourceScope) {
        if let failed = control.failed {
            details["\(scope.scope)/control"] = ["failed": .string(failed.rawValue)]
        }
        guard control.days > 0 else { return }
        details["\(scope.scope)/control"] = ["days": .int(control.days), "differing": .int(control.differing)]
    }

    mutating func add(_ result: PullResult, _ pipeline: Pipeline, _ scope: SourceScope) {
        counts["records", default: 0] += result.records
        counts["changed", default: 0] += result.changed.values.reduce(0, +)
        counts["pages", default: 0] += result.pages
        counts["marked", default: 0] += result.marked
        counts["paused", default: 0] += result.isPaused ? 1 : 0
        refused += result.refused
        completed += result.isPaused ? 0 : 1
        details["\(scope.scope)/\(pipeline.rawValue)"] = result.json
    }
}
