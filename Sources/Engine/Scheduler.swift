import Cron
package import Foundation
package import Logging
package import Postgres
import Runtime
import Synchronization
import Telemetry

package struct ScheduleStatus: Sendable {
    package let definition: ScheduleDefinition
    package let nextFires: [Date]
    /// The last two instants that the expression named before now, the later first, whether they fired or not.
    package let pastInstants: [Date]
    package let lastFire: Date?
    /// Nil until somebody pauses it; then who did, or who resumed it.
    package let switched: SwitchRecord?

    package init(
        definition: ScheduleDefinition,
        nextFires: [Date],
        pastInstants: [Date] = [],
        lastFire: Date?,
        switched: SwitchRecord? = nil
    ) {
        self.definition = definition
        self.nextFires = nextFires
        self.pastInstants = pastInstants
        self.lastFire = lastFire
        self.switched = switched
    }

    package var isPaused: Bool { switched?.isOn == false }
}

package struct SchedulerStatus: Sendable {
    package let enabled: Bool
    package let switched: SwitchRecord?
    package let isLeader: Bool
    package let leader: String?
    package let schedules: [ScheduleStatus]

    package init(
        enabled: Bool,
        switched: SwitchRecord? = nil,
        isLeader: Bool,
        leader: String?,
        schedules: [ScheduleStatus]
    ) {
        self.enabled = enabled
        self.switched = switched
        self.isLeader = isLeader
        self.leader = leader
        self.schedules = schedules
    }
}

/// Fires jobs by cron on the one replica that holds the scheduler's lease, and looks after runs left by the dead.
///
/// A fire is a row (job, instant) with the id of its run, written before the run begins: whoever leads next knows from
/// the ledger whether it began. So a fire happens once, and none is lost over restarts.
package final class Scheduler: Sendable {
    private let store: ScheduleStore
    private let ledger: Ledger
    private let runner: JobRunner
    private let definitions: Mutex<[ScheduleDefinition]>
    private let enabledAtStart: Bool
    private let holder: String
    private let clock: EngineClock
    private let logger: Logger
    private let settings: PGSettings
    private let leads = Mutex(false)
    /// Open fires of which it was said already that they cannot start.
    private let refused = Mutex<Set<RunID>>([])
    /// Called about once a minute while leading, for what must be done by one replica only.
    private let chores: @Sendable () async throws -> Void

    package init(
        state: PGPool,
        runner: JobRunner,
        schedules: [ScheduleDefinition],
        enabledAtStart: Bool,
        holder: String,
        clock: EngineClock = .system,
        logger: Logger,
        chores: @escaping @Sendable () async throws -> Void = {}
    ) {
        store = ScheduleStore(state: state)
        ledger = Ledger(state: state)
        settings = state.settings
        self.runner = runner
        definitions = Mutex(schedules)
        self.enabledAtStart = enabledAtStart
        self.holder = holder
        self.clock = clock
        self.logger = logger
        self.chores = chores
    }

    package var schedules: [ScheduleDefinition] { definitions.withLock { $0 } }

    /// Takes other schedules from the next second on; all or nothing is the caller's part.
    package func replace(_ schedules: [ScheduleDefinition]) { definitions.withLock { $0 = schedules } }

    /// Leads when it can, fires what is due, until cancelled. A lost database is tried again, never fatal.
    package func run() async throws {
        SchedulerMetric.leads(false)
        while !Task.isCancelled {
            do {
                try await leadOnce()
            } catch is CancellationError {
                return
            } catch {
                logger.event(
                    .warning,
                    "the scheduler cannot reach its database",
                    [.error: "\(TallyError.wrapping(error, during: "scheduler"))"]
                )
            }
            do { try await clock.sleep(.seconds(1)) } catch { return }
        }
    }

    private func leadOnce() async throws {
        // A replica that stands by looks through its pool, each second; a session of its own is for who may win.
        if try await store.leaderLives() { return }
        let attempt = try await Lease.acquire("scheduler", run: RunID(), holder: holder, settings: settings)
        guard case .won(let lease) = attempt else { return }
        leads.withLock { $0 = true }
        SchedulerMetric.leads(true)
        logger.event(.notice, "leading the schedule", [.holder: holder, .fence: "\(lease.fence)"])
        let result: (any Error)?
        do {
            try await lead(lease)
            result = nil
        } catch {
            result = error
        }
        leads.withLock { $0 = false }
        SchedulerMetric.leads(false)
        await Uncancelled.run { await lease.release() }
        if let result { throw result }
    }

    /// Until the lease is lost or the task is cancelled. Neither a slow database nor a long chore holds up the
    /// heartbeat.
    private func lead(_ lease: Lease) async throws {
        try await store.remember(defaultEnabled: enabledAtStart)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                while true {
                    try await lease.renew()
                    try await Task.sleep(for: .seconds(1))
                }
            }
            group.addTask { try await self.doChores() }
            group.addTask {
                // Beside the fires: a target that swallows connections holds up no other job.
                while true {
                    try await self.takeUpLeft()
                    try await Task.sleep(for: .seconds(5))
                }
            }
            group.addTask {
                while true {
                    try await withDeadline(.seconds(60), during: "scheduler.tick") { try await self.tick() }
                    try await self.clock.sleep(.seconds(1))
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// About once a minute, beginning at once; one that fails is tried again a minute later.
    private func doChores() async throws {
        while true {
            do {
                try await chores()
            } catch {
                try Task.checkCancellation()
                logger.event(
                    .warning,
                    "housekeeping failed",
                    [.error: "\(TallyError.wrapping(error, during: "scheduler.chores"))"]
                )
            }
            try await Task.sleep(for: .seconds(60))
        }
    }

    /// What a leader does each second.
    func tick() async throws {
        let schedules = schedules
        let (isOn, paused) = try await switches()
        try await startOpen(schedules) { isOn && !paused.contains($0) }
        if isOn { try await fireDue(schedules, paused: paused) }
    }

    private func switches() async throws -> (isOn: Bool, paused: Set<JobName>) {
        (
            try await store.enabled()?.isOn ?? enabledAtStart,
            Set(try await store.pauses().filter { !$0.value.isOn }.keys)
        )
    }

    /// Closes what was left, whatever the switches say; only what may start by itself is taken up again.
    func takeUpLeft() async throws {
        let (isOn, paused) = try await switches()
        let resumes = Set(schedules.filter(\.resumes).map(\.job)).subtracting(paused)
        _ = try await runner.recover { isOn && resumes.contains($0) }
    }

    // MARK: Fires

    /// A fire on record further ahead comes from a clock that was wrong: it keeps nothing from falling due.
    private static let aheadMax: TimeInterval = 86_400

    private func fireDue(_ schedules: [ScheduleDefinition], paused: Set<JobName>) async throws {
        let now = clock.now()
        let last = try await store.lastFires(before: now.addingTimeInterval(Self.aheadMax))
        for schedule in schedules {
            guard let last = last[schedule.job] else {
                // A schedule that never fired begins now; it has missed nothing.
                _ = try await store.record(schedule.job, now, run: RunID(), .baseline)
                continue
            }
            let due = schedule.due(after: last, at: now)
            for instant in due {
                let outcome = FireRule.fallsDue(
                    isPaused: paused.contains(schedule.job),
                    isMadeUp: schedule.makesUp(instant, at: now, isNewest: instant == due.last)
                )
                let fire = StoredFire(job: schedule.job, instant: instant, runID: RunID(), outcome: outcome)
                guard try await store.record(fire.job, fire.instant, run: fire.runID, outcome) else { continue }
                if outcome != .skipped { try await start(fire, schedule) }
            }
        }
    }

    /// Takes up fires that are on record without a run.
    private func startOpen(_ schedules: [ScheduleDefinition], mayStart: (JobName) -> Bool) async throws {
        let open = try await store.open()
        refused.withLock { $0.formIntersection(open.map(\.runID)) }
        for fire in open {
            let schedule = schedules.first { $0.job == fire.job }
            let step = FireRule.isOpen(
                hasRun: try await ledger.run(fire.runID) != nil,
                age: clock.now().timeIntervalSince(fire.instant),
                window: schedule?.misfireWindow,
                mayStart: mayStart(fire.job)
            )
            switch (step, schedule) {
            case (.start, let schedule?): try await start(fire, schedule)
            case (.started, _): try await store.settle(fire, as: .started)
            case (.leave, _): continue
            default: try await store.settle(fire, as: .skipped)
            }
        }
    }

    private func start(_ fire: StoredFire, _ schedule: ScheduleDefinition) async throws {
        do {
            try await runner.submit(
                fire.job,
                schedule.options,
                trigger: .schedule,
                requestedBy: "scheduler",
                id: fire.runID
            )
            try await store.settle(fire, as: .started)
        } catch let busy as RunBusy {
            try await overlap(fire, schedule, running: busy.running)
        } catch {
            let ours = TallyError.wrapping(error, during: "scheduler")
            if ours.kind == .cancelled { throw error }
            // It stays open: the next second tries again, as long as the misfire window lasts.
            guard refused.withLock({ $0.insert(fire.runID).inserted }) else { return }
            logger.event(
                .error,
                "a fire could not start its run",
                [.job: fire.job.rawValue, .error: "\(ours)"]
            )
        }
    }

    private func overlap(_ fire: StoredFire, _ schedule: ScheduleDefinition, running: RunID?) async throws {
        let anotherWaits = try await store.open().contains { $0.job == fire.job && $0.outcome == .waiting }
        switch FireRule.meetsRun(fire.outcome, schedule.overlap, anotherWaits: anotherWaits) {
        case .leave: return
        case .wait: return try await store.settle(fire, as: .waiting)
        default: break
        }
        try await store.settle(fire, as: .skipped)
        try await ledger.insertSkipped(
            fire.runID,
            fire.job,
            schedule.options,
            requestedBy: "scheduler",
            holder: holder
        )
        logger.event(
            .info,
            "a fire was skipped: the job still runs",
            [.job: fire.job.rawValue, .runID: running.map { "\($0)" } ?? ""]
        )
    }

    // MARK: Operators

    /// Turns the schedule on for all replicas, over restarts.
    package func start(by: String) async throws { try await store.set(enabled: true, by: by) }

    /// Turns the schedule off for all replicas, over restarts.
    package func stop(by: String) async throws { try await store.set(enabled: false, by: by) }

    /// Pauses one job's schedule for all replicas, over restarts. Throws `.notFound` for a job without a schedule.
    package func pause(_ job: JobName, by: String) async throws { try await set(paused: true, job, by: by) }

    package func resume(_ job: JobName, by: String) async throws { try await set(paused: false, job, by: by) }

    private func set(paused: Bool, _ job: JobName, by: String) async throws {
        _ = try schedule(of: job)
        try await store.set(paused: paused, job: job, by: by)
    }

    /// The schedule of a job. Throws `.notFound` when it has none.
    package func schedule(of job: JobName) throws -> ScheduleDefinition {
        guard let schedule = schedules.first(where: { $0.job == job }) else {
            throw TallyError(.notFound, during: "schedule.find", "\(job) has no schedule")
        }
        return schedule
    }

    package func status() async throws -> SchedulerStatus {
        let last = try await store.lastFires(before: clock.now().addingTimeInterval(Self.aheadMax))
        let pauses = try await store.pauses()
        let enabled = try await store.enabled()
        let now = clock.now()
        let statuses = schedules.map { schedule in
            var fires: [Date] = []
            var at = now
            while fires.count < 5, let next = schedule.expression.next(after: at, in: schedule.timeZone) {
                fires.append(next)
                at = next
            }
            return ScheduleStatus(
                definition: schedule,
                nextFires: fires,
                pastInstants: schedule.pastInstants(before: now),
                lastFire: last[schedule.job],
                switched: pauses[schedule.job]
            )
        }
        return SchedulerStatus(
            enabled: enabled?.isOn ?? enabledAtStart,
            switched: enabled,
            isLeader: leads.withLock { $0 },
            leader: try await store.leader(),
            schedules: statuses
        )
    }
}

extension ScheduleDefinition {
    /// The longer of the times between the fire after `date` and the one before, and between that and its predecessor.
    ///
    /// Of a schedule that rests at night it is the night, until the second fire of the day. Nil without two fires.
    func interval(around date: Date) -> TimeInterval? {
        let fires = [expression.next(after: date, in: timeZone)].compactMap(\.self) + pastInstants(before: date)
        return zip(fires, fires.dropFirst()).map { $0.timeIntervalSince($1) }.max()
    }

    /// The last two instants before `date`, the later first.
    func pastInstants(before date: Date) -> [Date] {
        guard let last = expression.previous(before: date, in: timeZone) else { return [] }
        return [last] + [expression.previous(before: last, in: timeZone)].compactMap { $0 }
    }
}
