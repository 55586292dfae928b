package import Logging
package import Postgres
package import Runtime
import Synchronization
import Telemetry

/// Runs jobs one at a time each, under lease and fence, and writes their story into the ledger.
///
/// `run()` owns every run as a child task; nothing outlives it. `submit` wins the lease before it answers.
package final class JobRunner: Sendable {
    private struct Accepted: Sendable {
        let id: RunID
        let job: any Job
        let options: RunOptions
        let lease: Lease
        let cancel: CancelSignal
        let progress: Progress
    }

    private let ledger: Ledger
    private let state: PGPool
    private let jobs: [JobName: any Job]
    private let holder: String
    private let failpoint: Failpoint
    private let logger: Logger
    private let accepted = BoundedChannel<Accepted>(capacity: 64)
    private let active = Mutex<[RunID: (progress: Progress, cancel: CancelSignal)]>([:])

    package init(
        state: PGPool,
        jobs: [any Job],
        holder: String,
        failpoint: Failpoint = .none,
        logger: Logger
    ) {
        self.state = state
        self.jobs = Dictionary(jobs.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.holder = holder
        self.failpoint = failpoint
        self.logger = logger
        ledger = Ledger(state: state)
    }

    package var jobNames: [JobName] { jobs.keys.sorted { $0.rawValue < $1.rawValue } }

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
    /// Throws `RunBusy` with the running run when the lease is held; `.notFound` for an unknown job, `.requestInvalid`
    /// for an option that the job does not know, `.migrationsMissing` before `tallyman migrate up`.
    package func submit(
        _ name: JobName,
        _ options: RunOptions,
        trigger: RunTrigger,
        requestedBy: String
    ) async throws -> RunID {
        guard let job = jobs[name] else {
            throw TallyError(.notFound, during: "run.submit", "there is no job \"\(name)\"")
        }
        let id = RunID()
        let attempt: Lease.Attempt
        do {
            attempt = try await Lease.acquire("job:\(name)", run: id, holder: holder, settings: state.settings)
        } catch let error as TallyError where error.serverError?.sqlState == "42P01" {
            throw TallyError(
                .migrationsMissing,
                during: "run.submit",
                "schema etl is missing in \(state.settings.databaseLabel)",
                remedy: "Run `tallyman migrate up`.",
                cause: error
            )
        }
        guard case .won(let lease, let interrupted) = attempt else {
            if case .held(let running) = attempt { throw RunBusy(job: name, running: running) }
            throw RunBusy(job: name, running: nil)
        }
        do {
            if let interrupted { try? await ledger.move(interrupted, to: .interrupted) }
            try await ledger.insert(id, name, options, trigger: trigger, requestedBy: requestedBy, holder: holder)
            try await ledger.move(id, to: .running, fence: options.dryRun ? nil : lease.fence)
            let accepted = Accepted(
                id: id,
                job: job,
                options: options,
                lease: lease,
                cancel: CancelSignal(),
                progress: Progress()
            )
            active.withLock { $0[id] = (accepted.progress, accepted.cancel) }
            try await self.accepted.send(accepted)
            return id
        } catch {
            await lease.release()
            throw error
        }
    }

    /// The run's record once it has ended, also when another replica runs it.
    package func wait(_ id: RunID) async throws -> RunRecord {
        while active.withLock({ $0[id] != nil }) { try await Task.sleep(for: .milliseconds(20)) }
        while true {
            guard let record = try await ledger.run(id) else {
                throw TallyError(.notFound, during: "run.wait", "there is no run \(id)")
            }
            if record.state.isFinal { return record }
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

    // MARK: One run

    private func carryOut(_ run: Accepted) async {
        let started = ContinuousClock.now
        let context = RunContext(
            runID: run.id,
            job: run.job.name,
            options: run.options,
            fence: run.options.dryRun ? nil : run.lease.fence,
            logger: logger,
            progress: run.progress,
            deadLetters: DeadLetterSink(job: run.job.name, runID: run.id, pool: run.job.targets.first),
            failpoint: failpoint
        )
        let outcome = await attempt(run, context)
        // The end of a run is written also when everything around it is being cancelled (INV-7).
        await Uncancelled.run { await self.close(run, context, outcome) }
        EngineMetric.finished(
            run.job.name,
            state: outcome.state,
            dryRun: run.options.dryRun,
            duration: started.duration(to: .now),
            counts: outcome.counts
        )
        _ = active.withLock { $0.removeValue(forKey: run.id) }
    }

    private struct Outcome: Sendable {
        var state: RunState
        var summary: JSONValue?
        var error: RunError?
        var counts: [String: Int] = [:]
    }

    private enum Ending: Sendable {
        case summary(RunSummary)
        case cancelRequested
    }

    private func attempt(_ run: Accepted, _ context: RunContext) async -> Outcome {
        do {
            if let fence = context.fence {
                for target in run.job.targets { try await Fence.raise(run.job.name, to: fence, in: target) }
            }
            try await failpoint.reach("run.started")
            let ending = try await withThrowingTaskGroup(of: Ending?.self) { group in
                group.addTask { .summary(try await run.job.run(context)) }
                group.addTask {
                    try await self.beat(run)
                    return .cancelRequested
                }
                defer { group.cancelAll() }
                return try await group.next() ?? nil
            }
            guard case .summary(let summary)? = ending else { return Outcome(state: .cancelled) }
            try await failpoint.reach("run.beforeFinish")
            return Outcome(
                state: summary.deadLetters > 0 ? .partial : .succeeded,
                summary: [
                    "counts": .object(summary.counts.mapValues { .int($0) }), "details": summary.details,
                    "proof": .string(summary.proof.rawValue), "retries": .int(context.retries),
                ],
                counts: summary.counts
            )
        } catch {
            let ours = TallyError.wrapping(error, during: "run")
            // Being shut down is not being cancelled by somebody: the run may go on later and has used no attempt.
            let stopped: RunState = Task.isCancelled ? .interrupted : .cancelled
            return Outcome(state: ours.kind == .cancelled ? stopped : .failed, error: RunError(ours))
        }
    }

    /// Renews the lease and writes progress every second; returns when somebody asked to cancel.
    private func beat(_ run: Accepted) async throws {
        while true {
            if await run.cancel.wait(for: .seconds(1)) { return }
            try Task.checkCancellation()
            try await run.lease.renew()
            if try await ledger.heartbeat(run.id, run.progress.snapshot.json) != nil { return }
        }
    }

    private func close(_ run: Accepted, _ context: RunContext, _ outcome: Outcome) async {
        do {
            try await ledger.move(
                run.id,
                to: outcome.state,
                progress: run.progress.snapshot.json,
                summary: outcome.summary,
                error: outcome.error
            )
        } catch {
            logger.event(
                .error,
                "the end of a run could not be written; its lease will mark it interrupted",
                [.runID: "\(run.id)", .job: run.job.name.rawValue, .error: "\(error)"]
            )
        }
        await run.lease.release()
        if let error = outcome.error {
            logger.event(
                .error,
                "run ended in failure",
                [
                    .runID: "\(run.id)", .job: run.job.name.rawValue, .state: outcome.state.rawValue,
                    .kind: error.kind, .stage: error.stage, .error: error.summary, .remedy: error.remedy ?? "",
                ]
            )
        }
    }
}
