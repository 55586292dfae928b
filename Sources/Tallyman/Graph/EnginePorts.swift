import API
import Engine
import Foundation
import Postgres
import Runtime

/// The routes' view of runs, over the engine.
struct EngineRuns: RunsPort {
    let jobs: [JobDescription]
    private let runner: JobRunner
    private let ledger: Ledger
    private let store: ShardStore
    private let keys: IdempotencyKeys

    init(jobs: [any Job], runner: JobRunner, ledger: Ledger, shards: ShardStore, keys: IdempotencyKeys) {
        store = shards
        self.keys = keys
        self.jobs = jobs.map { JobDescription(name: $0.name, options: $0.knownOptions, family: $0.family) }
        self.runner = runner
        self.ledger = ledger
    }

    func submit(_ job: JobName, _ options: RunOptions, requestedBy: String, id: RunID) async throws -> RunID {
        try await runner.submit(job, options, trigger: .api, requestedBy: requestedBy, id: id)
    }

    func wait(_ id: RunID) async throws -> RunRecord { try await runner.wait(id) }

    func cancel(_ id: RunID, by: String) async throws -> Bool { try await runner.cancel(id, by: by) }

    func progress(_ id: RunID) -> ProgressSnapshot? { runner.progress(id) }

    func run(_ id: RunID) async throws -> RunRecord? { try await prepared { try await ledger.run(id) } }

    func shards(of id: RunID) async throws -> [ShardRecord] { try await prepared { try await store.shards(of: id) } }

    func runs(_ query: RunsQuery) async throws -> [RunRecord] {
        try await prepared {
            try await ledger.runs(job: query.job, state: query.state, limit: query.limit, before: query.before)
        }
    }

    func lastRun(_ job: JobName, dryRun: Bool) async throws -> RunRecord? {
        try await prepared { try await ledger.lastRun(job: job, dryRun: dryRun) }
    }

    func lastSuccess(_ job: JobName) async throws -> RunRecord? {
        try await prepared { try await ledger.lastSuccess(job: job) }
    }

    func newest(_ which: NewestRun) async throws -> [RunRecord] {
        try await prepared { try await ledger.newest(which, of: jobs.map(\.name)) }
    }

    func active() async throws -> [RunRecord] { try await prepared { try await ledger.active() } }

    func timeline(from: Date, to: Date, stretchSeconds: Int, job: JobName?) async throws -> [TimelineSpan] {
        try await prepared {
            try await ledger.timeline(from: from, to: to, stretchSeconds: stretchSeconds, job: job)
        }
    }

    func changes(after instant: Date) async throws -> [RunRecord] {
        try await prepared { try await ledger.changes(after: instant) }
    }

    func now() async throws -> Date { try await prepared { try await ledger.now() } }

    func reserve(_ claim: IdempotencyClaim, run: RunID) async throws -> IdempotencyKeys.Reservation {
        try await prepared {
            try await keys.reserve(caller: claim.caller, key: claim.key, requestHash: claim.requestHash, run: run)
        }
    }

    func release(_ claim: IdempotencyClaim, run: RunID) async throws {
        try await prepared { try await keys.release(caller: claim.caller, key: claim.key, run: run) }
    }
}

/// The routes' view of the schedule, over the engine.
struct EngineScheduler: SchedulerPort {
    let scheduler: Scheduler

    func status() async throws -> SchedulerStatus { try await prepared { try await scheduler.status() } }
    func start(by: String) async throws { try await prepared { try await scheduler.start(by: by) } }
    func stop(by: String) async throws { try await prepared { try await scheduler.stop(by: by) } }

    func pause(_ job: JobName, by: String) async throws {
        try await prepared { try await scheduler.pause(job, by: by) }
    }

    func resume(_ job: JobName, by: String) async throws {
        try await prepared { try await scheduler.resume(job, by: by) }
    }

    func options(of job: JobName) async throws -> RunOptions { try scheduler.schedule(of: job).options }
}

/// The routes' view of watermarks, over the engine's store.
struct EngineWatermarks: WatermarksPort {
    let store: WatermarkStore

    func list(source: String?, scopes: Int) async throws -> WatermarkList {
        try await prepared { try await store.list(source: source, scopes: scopes) }
    }

    func find(_ key: WatermarkKey, in database: String) async throws -> OperatorWatermark? {
        try await prepared { try await store.find(key, in: database) }
    }

    func set(_ key: WatermarkKey, to watermark: Watermark, in database: String) async throws {
        try await prepared { try await store.set(key, to: watermark, in: database) }
    }

    func delete(_ key: WatermarkKey, in database: String) async throws -> Bool {
        try await prepared { try await store.delete(key, in: database) }
    }
}

/// Runs `body`; a relation of ours that is not there is told as what it is, missing migrations.
func prepared<Result>(_ body: () async throws -> Result) async throws -> Result {
    do {
        return try await body()
    } catch let error as TallyError where ["42P01", "3F000"].contains(error.serverError?.sqlState) {
        throw TallyError(
            .migrationsMissing,
            during: "state.read",
            "schema etl is missing or too old",
            remedy: "Run `tallyman migrate up`.",
            cause: error
        )
    }
}
