package import Engine
package import Foundation
package import Runtime

/// A job as callers see it.
package struct JobDescription: Sendable, Equatable {
    package let name: JobName
    package let options: Set<RunOptionName>
    package let family: String?

    package init(name: JobName, options: Set<RunOptionName>, family: String? = nil) {
        self.name = name
        self.options = options
        self.family = family
    }
}

/// Which runs to list, newest first.
package struct RunsQuery: Sendable, Equatable {
    package var job: JobName?
    package var state: RunState?
    package var limit: Int
    /// Runs queued before this one.
    package var before: RunID?

    package init(job: JobName? = nil, state: RunState? = nil, limit: Int = 20, before: RunID? = nil) {
        self.job = job
        self.state = state
        self.limit = limit
        self.before = before
    }
}

/// What the routes ask of the engine: starting, watching and ending runs.
package protocol RunsPort: Sendable {
    var jobs: [JobDescription] { get }
    /// Starts a run under an id the caller chose.
    ///
    /// - Throws: `RunBusy` when the job's lease is held, with the running run's id where it is known.
    func submit(_ job: JobName, _ options: RunOptions, requestedBy: String, id: RunID) async throws -> RunID
    /// Returns once the run has ended; cancelling the caller does not cancel the run.
    func wait(_ id: RunID) async throws -> RunRecord
    /// False when the run has ended already.
    func cancel(_ id: RunID, by: String) async throws -> Bool
    /// Live progress of a run of this process, else nil.
    func progress(_ id: RunID) -> ProgressSnapshot?
    func run(_ id: RunID) async throws -> RunRecord?
    /// The shards of a run, in their order; empty for a run that is not cut.
    func shards(of id: RunID) async throws -> [ShardRecord]
    func runs(_ query: RunsQuery) async throws -> [RunRecord]
    /// The newest ended run that is, or is not, a dry run.
    func lastRun(_ job: JobName, dryRun: Bool) async throws -> RunRecord?
    func lastSuccess(_ job: JobName) async throws -> RunRecord?
    /// One run of each job at most.
    func newest(_ which: NewestRun) async throws -> [RunRecord]
    /// Runs under way, here and on other replicas.
    func active() async throws -> [RunRecord]
    /// What ran between two instants of the ledger's clock, in stretches of so many seconds.
    func timeline(from: Date, to: Date, stretchSeconds: Int, job: JobName?) async throws -> [TimelineSpan]
    /// Runs that anything was written about after an instant of the ledger's clock; oldest news first.
    func changes(after instant: Date) async throws -> [RunRecord]
    /// The ledger's clock.
    func now() async throws -> Date
    /// Claims an idempotency key for a run.
    func reserve(_ key: IdempotencyClaim, run: RunID) async throws -> IdempotencyKeys.Reservation
    /// Gives back a key whose run never began.
    func release(_ key: IdempotencyClaim, run: RunID) async throws
}

/// Whose key it is, and for what request.
package struct IdempotencyClaim: Sendable, Equatable {
    package let caller: String
    package let key: String
    /// SHA-256 of method, path and body.
    package let requestHash: [UInt8]
}

/// What the routes ask of the scheduler; the answer is the engine's own status as JSON.
package protocol SchedulerPort: Sendable {
    func status() async throws -> SchedulerStatus
    func start(by: String) async throws
    func stop(by: String) async throws
    /// - Throws: `.notFound` for a job without a schedule.
    func pause(_ job: JobName, by: String) async throws
    func resume(_ job: JobName, by: String) async throws
    /// What a fire of the job's schedule would ask for.
    func options(of job: JobName) async throws -> RunOptions
}

/// What the routes ask of the watermarks of all databases.
package protocol WatermarksPort: Sendable {
    /// Positions of `source`, or of all; the last `scopes` of each table and account.
    func list(source: String?, scopes: Int) async throws -> WatermarkList
    /// - Throws: `.notFound` for an unknown database.
    func find(_ key: WatermarkKey, in database: String) async throws -> OperatorWatermark?
    /// - Throws: `.notFound` for an unknown database.
    func set(_ key: WatermarkKey, to watermark: Watermark, in database: String) async throws
    func delete(_ key: WatermarkKey, in database: String) async throws -> Bool
}

/// What the routes ask of the dead-letter store.
package protocol DeadLettersPort: Sendable {
    /// Open letters by job.
    func openCounts() async throws -> [JobName: Int]
    func list(job: JobName?, limit: Int, before: String?) async throws -> [JSONValue]
    /// Marks letters so that the next run tries their records again; returns how many, 0 when there is none.
    func retry(id: String?, job: JobName?, by: String) async throws -> Int
    func discard(id: String, by: String) async throws -> Bool
}
