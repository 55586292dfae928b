package import Cron
package import Foundation
package import Logging
package import Postgres
import Runtime
import Synchronization
import Telemetry

/// When a job is due.
package struct ScheduleDefinition: Sendable {
    package let job: JobName
    package let expression: CronExpression
    package let timeZone: TimeZone

    package init(job: JobName, expression: CronExpression, timeZone: TimeZone) {
        self.job = job
        self.expression = expression
        self.timeZone = timeZone
    }
}

package struct ScheduleStatus: Sendable {
    package let job: JobName
    package let expression: String
    package let timeZone: String
    package let nextFires: [Date]
    package let lastFire: Date?

    package init(job: JobName, expression: String, timeZone: String, nextFires: [Date], lastFire: Date?) {
        self.job = job
        self.expression = expression
        self.timeZone = timeZone
        self.nextFires = nextFires
        self.lastFire = lastFire
    }
}

package struct SchedulerStatus: Sendable {
    package let enabled: Bool
    package let isLeader: Bool
    package let leader: String?
    package let schedules: [ScheduleStatus]

    package init(enabled: Bool, isLeader: Bool, leader: String?, schedules: [ScheduleStatus]) {
        self.enabled = enabled
        self.isLeader = isLeader
        self.leader = leader
        self.schedules = schedules
    }
}

/// Fires jobs by cron on the one replica that holds the scheduler's lease.
///
/// A fire is a row (job, instant) written before its run begins, so it happens once whoever leads. What was missed
/// within the last 24 hours is made up by one run.
package final class Scheduler: Sendable {
    private static let misfireWindow = 86_400.0

    private let state: PGPool
    private let runner: JobRunner
    package let schedules: [ScheduleDefinition]
    private let enabledAtStart: Bool
    private let holder: String
    private let logger: Logger
    private let leads = Mutex(false)

    package init(
        state: PGPool,
        runner: JobRunner,
        schedules: [ScheduleDefinition],
        enabledAtStart: Bool,
        holder: String,
        logger: Logger
    ) {
        self.state = state
        self.runner = runner
        self.schedules = schedules
        self.enabledAtStart = enabledAtStart
        self.holder = holder
        self.logger = logger
    }

    /// Leads when it can, fires what is due, until cancelled. A lost database is tried again, never fatal.
    package func run() async throws {
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
            do { try await Task.sleep(for: .seconds(3)) } catch { return }
        }
    }

    private func leadOnce() async throws {
        let attempt = try await Lease.acquire("scheduler", run: RunID(), holder: holder, settings: state.settings)
        guard case .won(let lease, _) = attempt else { return }
        leads.withLock { $0 = true }
        logger.event(.notice, "leading the schedule", [.holder: holder, .fence: "\(lease.fence)"])
        let result: (any Error)?
        do {
            try await remember(defaultEnabled: enabledAtStart)
            while true {
                try await lease.renew()
                try await fireDue()
                try await Task.sleep(for: .seconds(1))
            }
        } catch {
            result = error
        }
        leads.withLock { $0 = false }
        await Uncancelled.run { await lease.release() }
        if let result { throw result }
    }

    private func fireDue() async throws {
        guard try await isEnabled() else { return }
        let now = Date()
        for schedule in schedules {
            let last = try await lastFire(schedule.job)
            // A schedule that never fired begins now; it has missed nothing.
            guard let last else {
                try await record(
                    schedule.job,
                    schedule.expression.previous(before: now, in: schedule.timeZone) ?? now,
                    run: nil
                )
                continue
            }
            let from = max(last, now.addingTimeInterval(-Self.misfireWindow))
            guard let due = latestFire(schedule, after: from, notAfter: now) else { continue }
            guard try await record(schedule.job, due, run: nil) else { continue }
            await submit(schedule.job, due)
        }
    }

    private func latestFire(_ schedule: ScheduleDefinition, after start: Date, notAfter now: Date) -> Date? {
        guard let first = schedule.expression.next(after: start, in: schedule.timeZone), first <= now else {
            return nil
        }
        return max(first, schedule.expression.previous(before: now, in: schedule.timeZone) ?? first)
    }

    private func submit(_ job: JobName, _ due: Date) async {
        do {
            _ = try await runner.submit(job, RunOptions(), trigger: .schedule, requestedBy: "scheduler")
        } catch let busy as RunBusy {
            logger.event(
                .info,
                "a fire was skipped: the job still runs",
                [.job: job.rawValue, .runID: busy.running.map { "\($0)" } ?? ""]
            )
        } catch {
            logger.event(
                .error,
                "a fire could not start its run",
                [.job: job.rawValue, .error: "\(TallyError.wrapping(error, during: "scheduler"))"]
            )
        }
    }

    // MARK: State

    @discardableResult
    private func record(_ job: JobName, _ instant: Date, run: RunID?) async throws -> Bool {
        try await state.withConnection { connection in
            try await connection.query(
                "INSERT INTO etl.fires (job, instant) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                [.text(job.rawValue), .timestamp(instant)]
            ).affectedRows == 1
        }
    }

    private func lastFire(_ job: JobName) async throws -> Date? {
        try await state.withConnection { connection in
            let row = try await connection.query(
                "SELECT max(instant) FROM etl.fires WHERE job = $1",
                [.text(job.rawValue)]
            ).rows.first
            return try row.flatMap { $0[0].isNull ? nil : try $0[0].date() }
        }
    }

    private func isEnabled() async throws -> Bool {
        try await state.withConnection { connection in
            try await connection.query("SELECT enabled FROM etl.scheduler").rows.first?[0].bool() ?? enabledAtStart
        }
    }

    /// The setting counts until an operator decides otherwise; that decision survives restarts.
    private func remember(defaultEnabled: Bool) async throws {
        _ = try await state.withConnection { connection in
            try await connection.query(
                "INSERT INTO etl.scheduler (enabled, changed_by) VALUES ($1, 'settings') ON CONFLICT (id) DO UPDATE "
                    + "SET enabled = excluded.enabled WHERE etl.scheduler.changed_by = 'settings'",
                [.bool(defaultEnabled)]
            )
        }
    }

    private func set(_ enabled: Bool, by: String) async throws {
        _ = try await state.withConnection { connection in
            try await connection.query(
                "INSERT INTO etl.scheduler (enabled, changed_by) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET "
                    + "enabled = excluded.enabled, changed_by = excluded.changed_by, changed_at = clock_timestamp()",
                [.bool(enabled), .text(by)]
            )
        }
    }

    /// Turns the schedule on for all replicas, over restarts.
    package func start(by: String) async throws { try await set(true, by: by) }

    /// Turns the schedule off for all replicas, over restarts.
    package func stop(by: String) async throws { try await set(false, by: by) }

    package func status() async throws -> SchedulerStatus {
        let leader = try await state.withConnection { connection in
            try await connection.query(
                "SELECT holder FROM etl.leases WHERE name = 'scheduler' AND expires_at > clock_timestamp()"
            ).rows.first?[0].string()
        }
        var statuses: [ScheduleStatus] = []
        for schedule in schedules {
            var fires: [Date] = []
            var at = Date()
            while fires.count < 5, let next = schedule.expression.next(after: at, in: schedule.timeZone) {
                fires.append(next)
                at = next
            }
            statuses.append(
                ScheduleStatus(
                    job: schedule.job,
                    expression: schedule.expression.text,
                    timeZone: schedule.timeZone.identifier,
                    nextFires: fires,
                    lastFire: try await lastFire(schedule.job)
                )
            )
        }
        return SchedulerStatus(
            enabled: try await isEnabled(),
            isLeader: leads.withLock { $0 },
            leader: leader,
            schedules: statuses
        )
    }
}
