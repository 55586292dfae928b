package import Logging
package import Postgres
package import Runtime
import Synchronization
import Telemetry

/// Runs jobs one at a time each, under lease and fence, and writes their story into the ledger.
///
/// `run()` owns every run as a child task; nothing outlives it. `submit` wins the lease before it answers.
package final class JobRunner: Sendable {
    /// Told of every run that ended here as the ledger has it; one whose end it did not take is `interrupted`.
    package typealias Ended = @Sendable (RunEnding) async -> Void

    private struct Active {
        let progress: Progress
        let cancel: CancelSignal
        /// Carries nothing; it is finished when the run is no longer active here.
        let over = BoundedChannel<Never>(capacity: 1)
    }

    private let ledger: Ledger
    private let state: PGPool
    private let jobs: [JobName: any Job]
    private let holder: String
    private let settings: RunSettings
    private let failpoint: Failpoint
    private let logger: Logger
    private let ended: Ended
    private let accepted = BoundedChannel<AcceptedRun>(capacity: 64)
    private let active = Mutex<[RunID: Active]>([:])

    package init(
        state: PGPool,
        jobs: [any Job],
        holder: String,
        settings: RunSettings = RunSettings(),
        failpoint: Failpoint = .none,
        logger: Logger,
        ended: @escaping Ended = { _ in }
    ) {
        self.state = state
        self.jobs = Dictionary(jobs.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.holder = holder
        self.settings = settings
        self.failpoint = failpoint
        self.logger = logger
        self.ended = ended
        ledger = Ledger(state: state)
    }

    /// Carries out accepted runs until the task is cancelled; then every run is cancelled and closed in the ledger.
    package func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            do {
                while let next = try await accepted.receive() {
                    group.addTask { await self.carryOut(next) }
                }
            } catch is CancellationError {
                group.cancelAll()
            }
        }
    }

    /// Wins the job's lease, opens a run in the ledger and hands it to `run()`.
    ///
    /// `id` lets the caller know the run before it exists. Throws `RunBusy` with the running run when the lease is
    /// held, or while a run in parts is under way; `.notFound` for an unknown job, `.migrationsMissing` before
    /// `tallyman migrate up`.
    @discardableResult
    package func submit(
        _ name: JobName,
        _ options: RunOptions,
        trigger: RunTrigger,
        requestedBy: String,
        id: RunID = RunID(),
        resuming: RunRecord? = nil
    ) async throws -> RunID {
        guard let job = jobs[name] else {
            throw TallyError(.notFound, during: "run.submit", "there is no job \"\(name)\"")
        }
        return try await submit(job, options, trigger: trigger, requestedBy: requestedBy, id: id, resuming: resuming)
    }

    /// The same for a job that this runner was not made with: a part of a run (`Job.partOf`).
    @discardableResult
    package func submit(
        _ job: any Job,
        _ options: RunOptions,
        trigger: RunTrigger,
        requestedBy: String,
        id: RunID = RunID(),
        resuming: RunRecord? = nil
    ) async throws -> RunID {
        guard case .won(let lease) = try await lease(of: job.name, sharing: job.partOf?.job, for: id) else {
            throw RunBusy(job: job.name, running: try await runningRun(of: job))
        }
        do {
            try await failpoint.reach("submit.leaseWon")
            if let whole = try await ledger.runInParts(job: job.name) {
                throw RunBusy(job: job.name, running: whole.id)
            }
            // Who holds the lease is the only one: every other run of the job was left by a process that is gone.
            _ = try await close(job.name, targets: job.targets, under: lease)
            try await ledger.insert(
                id,
                job.name,
                options,
                trigger: trigger,
                requestedBy: requestedBy,
                holder: holder,
                resuming: resuming,
                partOf: job.partOf
            )
            try await failpoint.reach("submit.recorded")
            try await ledger.move(id, to: .running, fence: options.dryRun ? nil : lease.fence)
            try await failpoint.reach("submit.running")
            let run = AcceptedRun(
                id: id,
                job: job,
                options: options,
                lease: lease,
                cancel: CancelSignal(),
                progress: Progress(),
                resumed: resuming?.id
            )
            active.withLock { $0[id] = Active(progress: run.progress, cancel: run.cancel) }
            try await accepted.send(run)
            return id
        } catch {
            forget(id)
            await lease.release()
            throw error
        }
    }

    private func lease(of job: JobName, sharing whole: JobName? = nil, for run: RunID) async throws -> Lease.Attempt {
        do {
            return try await Lease.acquire(
                Lease.name(of: job),
                sharing: whole.map { Lease.name(of: $0) },
                run: run,
                holder: holder,
                settings: state.settings
            )
        } catch let error as TallyError where error.serverError?.sqlState == "42P01" {
            throw TallyError(
                .migrationsMissing,
                during: "run.submit",
                "schema etl is missing in \(state.settings.databaseLabel)",
                remedy: "Run `tallyman migrate up`.",
                cause: error
            )
        }
    }

    /// The run that keeps a run of the job from starting, as far as the ledger knows it.
    private func runningRun(of job: any Job) async throws -> RunID? {
        for name in [job.name, job.partOf?.job].compactMap(\.self) {
            let running = try await ledger.runs(job: name, state: .running, limit: 1).first?.id
            if let running, running != job.partOf?.run { return running }
        }
        return nil
    }

    /// Closes runs whose process died or froze, and starts them again where their job's policy says so, as it does
    /// with runs that ended because their process was told to stop; how many were found.
    ///
    /// Whether a process lives is told by its lease: what can be won was left. A job's run is taken up again at most
    /// `attemptsMax` times in a row, a stop not counted, and only when the schedule or the API asked for it.
    package func recover(resumes: (JobName) -> Bool) async throws -> Int {
        var found = 0
        for record in try await ledger.silent(for: .seconds(3)) where active.withLock({ $0[record.id] == nil }) {
            guard try await closeLeft(record) else { continue }
            found += 1
            // One that somebody had asked to cancel is cancelled by now.
            guard try await ledger.run(record.id)?.state == .interrupted else { continue }
            await ended(RunEnding(interrupted: record))
            if resumes(record.job), record.attempt < settings.attemptsMax { try await resume(record) }
        }
        for record in try await ledger.stopped() where resumes(record.job) {
            found += 1
            try await resume(record)
        }
        return found
    }

    /// Closes runs of a job whose lease is ours by now.
    private func close(_ job: JobName, targets: [PGPool], under lease: Lease) async throws -> [RunRecord] {
        let left = try await ledger.closeLeft(job, targets: targets, under: lease)
        for run in left {
            logger.event(.warning, "a run left behind was closed", [.runID: "\(run.id)", .job: run.job.rawValue])
        }
        return left
    }

    /// False when its process lives or has ended it, or when a target cannot be fenced: the next look tries again.
    private func closeLeft(_ record: RunRecord) async throws -> Bool {
        guard case .won(let lease) = try await lease(of: record.job, for: record.id) else { return false }
        do {
            let job = jobs[record.job] ?? record.job.whole.flatMap { jobs[$0] }
            let left = try await close(record.job, targets: job?.targets ?? [], under: lease)
            await lease.release()
            // It may have ended by itself between the look and the lease.
            return left.contains { $0.id == record.id }
        } catch {
            await lease.release()
            let ours = TallyError.wrapping(error, during: "run.recover")
            if ours.kind == .cancelled { throw ours }
            // What is wrong with one job's targets must hold up no other job: this run stays open, and is looked at
            // again.
            logger.event(
                ours.kind.disposition == .retry ? .warning : .error,
                "a run left behind could not be closed yet",
                [.runID: "\(record.id)", .job: record.job.rawValue, .error: "\(ours)"]
            )
            return false
        }
    }

    private func resume(_ record: RunRecord) async throws {
        guard record.trigger != .cli, !record.dryRun, jobs[record.job] != nil,
            let options = try await ledger.options(of: record.id)
        else { return }
        do {
            try await submit(
                record.job,
                options,
                trigger: record.trigger,
                requestedBy: record.requestedBy,
                resuming: record
            )
        } catch is RunBusy {
            return
        } catch {
            let ours = TallyError.wrapping(error, during: "run.recover")
            if ours.kind == .cancelled { throw ours }
            logger.event(
                .error,
                "a run could not be taken up again",
                [.runID: "\(record.id)", .job: record.job.rawValue, .error: "\(ours)"]
            )
        }
    }

    /// The run's record once it has ended, also when another replica runs it.
    ///
    /// Throws `.leaseLost` for a run of this process whose end the ledger did not take: maybe nobody will write it.
    package func wait(_ id: RunID) async throws -> RunRecord {
        let over = active.withLock { $0[id]?.over }
        _ = try await over?.receive()
        while true {
            guard let record = try await ledger.run(id) else {
                throw TallyError(.notFound, during: "run.wait", "there is no run \(id)")
            }
            if record.state.isFinal { return record }
            guard over == nil else {
                throw TallyError(
                    .leaseLost,
                    during: "run.wait",
                    "run \(id) is over here, but the ledger did not take its end",
                    remedy: "It counts as interrupted: run the job again once the state database answers."
                )
            }
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    /// Asks a run to stop, here or on another replica; false when it is not under way.
    package func cancel(_ id: RunID, by: String) async throws -> Bool {
        let asked = try await ledger.requestCancel(id, by: by)
        if asked { active.withLock { $0[id]?.cancel }?.fire() }
        return asked
    }

    /// Progress of a run of this process.
    package func progress(_ id: RunID) -> ProgressSnapshot? { active.withLock { $0[id]?.progress.snapshot } }

    private func forget(_ id: RunID) {
        active.withLock { $0.removeValue(forKey: id) }?.over.finish()
    }

    private func carryOut(_ run: AcceptedRun) async {
        let execution = RunExecution(
            run: run,
            ledger: ledger,
            settings: settings,
            holder: holder,
            failpoint: failpoint,
            logger: logger
        )
        let outcome = await execution.carryOut()
        forget(run.id)
        let ending = RunEnding(
            id: run.id,
            job: run.job.name,
            dryRun: run.options.dryRun,
            state: outcome.state,
            counts: outcome.counts,
            deadLetters: outcome.deadLetters,
            isWhole: outcome.isWhole,
            error: outcome.error,
            position: outcome.summary?["details"]?["cursor"]?.string
        )
        await ended(ending)
    }
}

/// How a run ended, as those who are told of it see it.
package struct RunEnding: Sendable {
    package let id: RunID
    package let job: JobName
    package let dryRun: Bool
    package let state: RunState
    package let counts: [String: Int]
    package let deadLetters: Int
    /// As its `RunSummary` says; true for a run that did not end well.
    package let isWhole: Bool
    package let error: RunError?
    /// How far the source was read, where the job's details name a `cursor`.
    package let position: String?

    package init(
        id: RunID,
        job: JobName,
        dryRun: Bool,
        state: RunState,
        counts: [String: Int],
        deadLetters: Int,
        isWhole: Bool = true,
        error: RunError?,
        position: String? = nil
    ) {
        self.id = id
        self.job = job
        self.dryRun = dryRun
        self.state = state
        self.counts = counts
        self.deadLetters = deadLetters
        self.isWhole = isWhole
        self.error = error
        self.position = position
    }
}

extension RunEnding {
    /// The end of a run that its own process did not live to tell.
    fileprivate init(interrupted record: RunRecord) {
        self.init(
            id: record.id,
            job: record.job,
            dryRun: record.dryRun,
            state: .interrupted,
            counts: [:],
            deadLetters: 0,
            error: nil
        )
    }
}
