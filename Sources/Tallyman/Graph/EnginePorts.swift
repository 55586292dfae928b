import API
import Engine
import Runtime

/// The routes' view of runs, over the engine.
struct EngineRuns: RunsPort {
    let jobs: [JobDescription]
    private let runner: JobRunner
    private let ledger: Ledger

    init(jobs: [any Job], runner: JobRunner, ledger: Ledger) {
        self.jobs = jobs.map { JobDescription(name: $0.name, options: $0.knownOptions) }
        self.runner = runner
        self.ledger = ledger
    }

    func submit(_ job: JobName, _ options: RunOptions, requestedBy: String) async throws -> RunID {
        try await runner.submit(job, options, trigger: .api, requestedBy: requestedBy)
    }

    func wait(_ id: RunID) async throws -> RunRecord { try await runner.wait(id) }

    func cancel(_ id: RunID, by: String) async throws -> Bool { try await runner.cancel(id, by: by) }

    func progress(_ id: RunID) -> ProgressSnapshot? { runner.progress(id) }

    func run(_ id: RunID) async throws -> RunRecord? { try await ledger.run(id) }

    func runs(_ query: RunsQuery) async throws -> [RunRecord] {
        try await ledger.runs(job: query.job, state: query.state, limit: query.limit, before: query.before)
    }

    func lastRun(_ job: JobName, dryRun: Bool) async throws -> RunRecord? {
        try await ledger.lastRun(job: job, dryRun: dryRun)
    }

    func lastSuccess(_ job: JobName) async throws -> RunRecord? { try await ledger.lastSuccess(job: job) }
}

/// The routes' view of the schedule, over the engine.
struct EngineScheduler: SchedulerPort {
    let scheduler: Scheduler

    func status() async throws -> SchedulerStatus { try await scheduler.status() }
    func start(by: String) async throws { try await scheduler.start(by: by) }
    func stop(by: String) async throws { try await scheduler.stop(by: by) }
}
