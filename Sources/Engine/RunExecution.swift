import Logging
import Postgres
import Runtime
import Telemetry

/// A run whose lease was won and whose record stands in the ledger.
struct AcceptedRun: Sendable {
    let id: RunID
    let job: any Job
    let options: RunOptions
    let lease: Lease
    let cancel: CancelSignal
    let progress: Progress
    /// The run that this one takes up again.
    let resumed: RunID?
}

/// Carries out one run: raises the fences, watches the job while it works, writes its end.
struct RunExecution: Sendable {
    let run: AcceptedRun
    let ledger: Ledger
    let settings: RunSettings
    let holder: String
    let failpoint: Failpoint
    let logger: Logger

    /// How a run ended.
    struct Outcome: Sendable {
        var state: RunState
        var summary: JSONValue?
        var error: RunError?
        var counts: [String: Int] = [:]
        var deadLetters = 0
        var isWhole = true
    }

    private enum Ending: Sendable {
        case summary(RunSummary)
        case cancelRequested
    }

    /// Runs to the end and tells what stands in the ledger then: a success that it did not take is none (INV-11).
    func carryOut() async -> Outcome {
        let started = ContinuousClock.now
        let context = RunContext(
            runID: run.id,
            job: run.job.name,
            options: run.options,
            fence: run.options.dryRun ? nil : run.lease.fence,
            logger: runLogger,
            progress: run.progress,
            deadLetters: DeadLetterSink(
                job: run.job.partOf?.job ?? run.job.name,
                runID: run.id,
                pool: run.job.targets.first,
                keepsPayloads: settings.keepsPayloads
            ),
            failpoint: failpoint,
            backoff: settings.backoff,
            partOf: run.job.partOf,
            resumed: run.resumed,
            parts: PartFences(state: ledger.state, targets: run.job.targets, holder: holder),
            targets: run.job.targets
        )
        runLogger.event(.debug, "run began", [.job: run.job.name.rawValue])
        let reached = await attempt(context)
        runLogger.event(.debug, "run ended", [.job: run.job.name.rawValue, .state: reached.state.rawValue])
        // The end of a run is written also when everything around it is being cancelled (INV-7).
        let stands = await Uncancelled.run { await self.close(reached) }
        var outcome = reached
        outcome.state = stands ?? .interrupted
        EngineMetric.finished(
            run.job.name,
            outcome,
            dryRun: run.options.dryRun,
            duration: started.duration(to: .now),
            retries: context.retries
        )
        return outcome
    }

    /// Carries the run's id, so that whatever a job says is found by it.
    private var runLogger: Logger {
        var tagged = logger
        tagged[metadataKey: LogKey.runID.rawValue] = .string(run.id.description)
        return tagged
    }

    private func attempt(_ context: RunContext) async -> Outcome {
        do {
            let ending = try await withThrowingTaskGroup(of: Ending?.self) { group in
                group.addTask { .summary(try await self.work(context)) }
                group.addTask {
                    try await self.watch()
                    return .cancelRequested
                }
                group.addTask {
                    try await run.cancel.wait()
                    return .cancelRequested
                }
                defer { group.cancelAll() }
                return try await group.next() ?? nil
            }
            guard case .summary(let summary)? = ending else {
                return Outcome(state: .cancelled, summary: Self.retried(context))
            }
            try await failpoint.reach("run.beforeFinish")
            return Outcome(
                state: summary.deadLetters > 0 ? .partial : .succeeded,
                summary: summary.json(retries: context.retries),
                counts: summary.counts,
                deadLetters: summary.deadLetters,
                isWhole: summary.isWhole
            )
        } catch {
            let ours = TallyError.wrapping(error, during: "run")
            // Being shut down is not being cancelled by somebody: the run may go on later and has used no attempt.
            let stopped: RunState = Task.isCancelled ? .interrupted : .cancelled
            let state = ours.kind == .cancelled ? stopped : .failed
            return Outcome(state: state, summary: Self.retried(context), error: RunError(ours))
        }
    }

    /// The job under its fences. Raising them may take seconds, in which the lease is renewed and a cancel heard.
    private func work(_ context: RunContext) async throws -> RunSummary {
        if let fence = context.fence {
            for target in run.job.targets {
                try await context.retrying("fence.raise") {
                    try await Fence.raise(run.job.name, to: fence, partOf: run.job.partOf, in: target)
                }
            }
        }
        try await failpoint.reach("run.started")
        return try await run.job.run(context)
    }

    /// A run that did not succeed says how often it had tried again.
    private static func retried(_ context: RunContext) -> JSONValue? {
        context.retries > 0 ? ["retries": .int(context.retries)] : nil
    }

    /// Renews the lease, writes progress and looks for a stall every second; returns when somebody asked another
    /// replica to cancel.
    ///
    /// A state database that does not answer for a moment is no reason to stop: the lease says when it is.
    private func watch() async throws {
        var stall = StallWatch(limit: settings.stallTimeout, now: .now)
        while true {
            try await Task.sleep(for: .seconds(1))
            if let stage = stall.observe(run.progress.mark, at: .now) {
                throw TallyError(
                    .deadlineExceeded,
                    during: "run.stalled",
                    "stage \(stage) made no progress for \(settings.stallTimeout.map { "\($0)" } ?? "")",
                    remedy: "Look at what the databases do (locks, load); STALL_TIMEOUT sets the patience."
                )
            }
            try await run.lease.renew()
            do {
                let asked = try await withDeadline(.seconds(3), during: "run.heartbeat") {
                    try await ledger.heartbeat(run.id, run.progress.snapshot.json, of: run.job.partOf?.run)
                }
                if asked != nil { return }
            } catch let error as TallyError where error.kind.disposition == .retry {
                logger.event(
                    .warning,
                    "progress could not be written",
                    [.runID: "\(run.id)", .job: run.job.name.rawValue, .error: "\(error)"]
                )
            }
        }
    }

    /// The state that stands in the ledger; nil when it did not take the end.
    private func close(_ outcome: Outcome) async -> RunState? {
        let stands = await writeEnd(outcome)
        try? await failpoint.reach("run.finished")
        await run.lease.release()
        guard let error = outcome.error else { return stands }
        logger.event(
            .error,
            "run ended in failure",
            [
                .runID: "\(run.id)", .job: run.job.name.rawValue, .state: outcome.state.rawValue,
                .kind: error.kind, .stage: error.stage, .error: error.summary, .remedy: error.remedy ?? "",
            ]
        )
        return stands
    }

    /// Tries for a few seconds: the state database may just be restarting.
    private func writeEnd(_ outcome: Outcome) async -> RunState? {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(5)
        while true {
            do {
                return try await withDeadline(.seconds(3), during: "run.close") { try await move(to: outcome) }
            } catch {
                let ours = TallyError.wrapping(error, during: "run.close")
                // A task that is cancelled cannot sleep, and tries no more.
                if ours.kind.disposition == .retry, clock.now < deadline,
                    (try? await clock.sleep(for: .milliseconds(250))) != nil
                {
                    continue
                }
                logger.event(
                    .error,
                    "the end of a run could not be written: it counts as interrupted",
                    [.runID: "\(run.id)", .job: run.job.name.rawValue, .error: "\(ours)"]
                )
                return nil
            }
        }
    }

    /// An attempt before may have written the end and lost only the answer.
    private func move(to outcome: Outcome) async throws -> RunState {
        do {
            return try await ledger.move(
                run.id,
                to: outcome.state,
                progress: run.progress.snapshot.json,
                summary: outcome.summary,
                error: outcome.error
            )
        } catch let error as TallyError where error.kind == .leaseLost {
            guard try await ledger.run(run.id)?.state == outcome.state else { throw error }
            return outcome.state
        }
    }
}
