package import Logging
package import Postgres
package import Runtime
import Synchronization
import Telemetry

/// What the engine lends to one run.
package final class RunContext: Sendable {
    package let runID: RunID
    package let job: JobName
    package let options: RunOptions
    /// The run's fencing token; nil in a dry run, which may write nothing.
    package let fence: Int64?
    package let logger: Logger
    package let progress: Progress
    package let deadLetters: DeadLetterSink
    package let failpoint: Failpoint
    /// The run that this one is a part of.
    package let partOf: PartOf?
    /// The run that this one takes up again after its process died.
    package let resumed: RunID?
    private let backoff: Backoff
    private let parts: PartFences?
    private let whole: RunContext?
    private let retriesCounted = Mutex(0)
    private let targets: [PGPool]
    /// What the targets' pools had lost when this run first wrote.
    private let lostBefore = Mutex<Int?>(nil)

    package init(
        runID: RunID,
        job: JobName,
        options: RunOptions,
        fence: Int64?,
        logger: Logger,
        progress: Progress,
        deadLetters: DeadLetterSink,
        failpoint: Failpoint = .none,
        backoff: Backoff = Backoff(),
        partOf: PartOf? = nil,
        resumed: RunID? = nil,
        parts: PartFences? = nil,
        whole: RunContext? = nil,
        targets: [PGPool] = []
    ) {
        self.runID = runID
        self.job = job
        self.options = options
        self.fence = fence
        self.logger = logger
        self.progress = progress
        self.deadLetters = deadLetters
        self.failpoint = failpoint
        self.backoff = backoff
        self.partOf = partOf
        self.resumed = resumed
        self.parts = parts
        self.whole = whole
        self.targets = targets
    }

    /// A part of this run inside its own process, with a fence and a progress of its own; this run's lease covers it.
    ///
    /// What it reads and writes counts for this run too. Throws `.leaseLost` when another run has taken over.
    package func part(_ index: Int) async throws -> RunContext {
        let name = job.part(index)
        let part = PartOf(job: job, run: runID, fence: fence)
        return RunContext(
            runID: runID,
            job: name,
            options: options,
            fence: fence == nil ? nil : try await retrying("fence.raise") { try await parts?.raise(name, of: part) },
            logger: logger,
            progress: Progress(reportingTo: progress),
            deadLetters: deadLetters,
            failpoint: failpoint,
            backoff: backoff,
            partOf: part,
            parts: parts,
            whole: self,
            targets: targets
        )
    }

    /// The history of runs, where this run stands in it.
    package var ledger: Ledger? { parts.map { Ledger(state: $0.state) } }

    /// Does what one process at a time may do for the run that this one is a part of: end it (INV-4). nil, and nothing
    /// is done, while another process is at it.
    ///
    /// Throws `.leaseLost` when another process has taken over.
    package func endingWhole<Result: Sendable>(
        _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result? {
        guard let parts, let partOf else { return try await body() }
        let name = Lease.name(of: JobName(rawValue: "\(partOf.job)\(JobName.partMark)end"))
        let attempt = try await retrying("lease.end") {
            try await Lease.acquire(name, run: partOf.run, holder: parts.holder, settings: parts.state.settings)
        }
        guard case .won(let lease) = attempt else { return nil }
        return try await lease.whileHeld(body)
    }

    /// The shards of runs, where this run may have some.
    package var shards: ShardStore? { parts.map { ShardStore(state: $0.state) } }

    private func countRetry() {
        retriesCounted.withLock { $0 += 1 }
        whole?.countRetry()
    }

    /// Who asks to be left alone for longer than this is not waited for: the run fails and says why.
    package static let retryAfterMax = Duration.seconds(900)

    /// How often something was tried again.
    package var retries: Int { retriesCounted.withLock { $0 } }

    /// How many sessions with its targets were lost since this run first wrote, whoever met the loss: a write, a read
    /// or the pool.
    ///
    /// Batches before it were committed asynchronously: a server that crashed may have forgotten them, so a job that
    /// does not keep its position in the same transactions must look again before it claims success (INV-11). A loss
    /// is known at the latest when a later transaction has succeeded.
    package var targetLosses: Int { lostBefore.withLock { $0.map { sessionsLost - $0 } ?? 0 } }

    private var sessionsLost: Int { targets.reduce(0) { $0 + $1.sessionsLost } }

    /// One fenced writing transaction: the fence statement first, then `body`, then COMMIT (INV-1, INV-4).
    ///
    /// Asynchronous unless `durable`. Two of one run wait for each other at the fence, but those that are `sharing` it:
    /// they must be right whatever order they commit in. Throws `.leaseLost` when another run has taken over. In a dry
    /// run it throws before anything is sent (INV-10).
    package func write<Result: Sendable>(
        on connection: PGConnection,
        durable: Bool,
        sharing: Bool = false,
        _ body: (PGConnection) async throws -> Result
    ) async throws -> Result {
        guard let fence else {
            throw TallyError(.permissionDenied, during: "run.write", "a dry run may not write")
        }
        let lost = sessionsLost
        lostBefore.withLock { if $0 == nil { $0 = lost } }
        let began = ContinuousClock.now
        let result = try await connection.withTransaction { connection in
            if sharing, partOf == nil {
                try await Fence.holdShared(job, fence, durable: durable, on: connection)
            } else {
                try await Fence.hold(job, fence, partOf: partOf, durable: durable, on: connection)
            }
            try await failpoint.reach("write.afterFence")
            let result = try await body(connection)
            try await failpoint.reach("write.beforeCommit")
            return result
        }
        EngineMetric.committed(partOf?.job ?? job, after: began.duration(to: .now))
        try await failpoint.reach("write.afterCommit")
        return result
    }

    /// Tries again what failed transiently, with backoff and never before `retryAfter`; every other error goes through
    /// at once, as does one whose `retryAfter` is longer than `retryAfterMax`.
    package func retrying<Result: Sendable>(
        _ stage: StaticString,
        _ body: () async throws -> Result
    ) async throws -> Result {
        var attempt = 0
        while true {
            do {
                return try await body()
            } catch {
                try Task.checkCancellation()
                var random = SystemRandomNumberGenerator()
                guard let ours = error as? TallyError, ours.kind.disposition == .retry,
                    ours.retryAfter ?? .zero <= Self.retryAfterMax,
                    let delay = backoff.delay(attempt: attempt, using: &random)
                else { throw error }
                let wait = max(delay, ours.retryAfter ?? .zero)
                attempt += 1
                countRetry()
                logger.event(
                    .warning,
                    "tried again after a transient failure",
                    [.stage: "\(stage)", .kind: ours.kind.rawValue, .attempt: "\(attempt)", .runID: "\(runID)"]
                )
                progress.noteRetry()
                progress.note(waiting: true)
                defer { progress.note(waiting: false) }
                try await Task.sleep(for: wait)
            }
        }
    }
}
