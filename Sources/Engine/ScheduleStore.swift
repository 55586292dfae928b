package import Foundation
import Postgres
import Runtime

/// What is known of a fire.
package enum FireOutcome: String, Sendable, CaseIterable {
    /// Recorded, its run not begun yet.
    case due
    /// Waits for the job's run to end.
    case waiting
    case started
    case skipped
    /// The instant from which a new schedule counts; nothing ran.
    case baseline
}

/// A fire as it is on record.
struct StoredFire: Sendable {
    let job: JobName
    let instant: Date
    let runID: RunID
    let outcome: FireOutcome
}

/// Who paused a schedule, or turned the scheduler off, and when.
package struct SwitchRecord: Sendable, Equatable {
    package let isOn: Bool
    package let changedBy: String
    package let changedAt: Date

    package init(isOn: Bool, changedBy: String, changedAt: Date) {
        self.isOn = isOn
        self.changedBy = changedBy
        self.changedAt = changedAt
    }
}

/// Fires, pauses and the scheduler's own switch in the state database.
struct ScheduleStore: Sendable {
    let state: PGPool

    /// Puts a fire on record, with the id its run will have; false when somebody did already.
    func record(_ job: JobName, _ instant: Date, run: RunID, _ outcome: FireOutcome) async throws -> Bool {
        try await change(
            "INSERT INTO etl.fires (job, instant, run_id, outcome) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            [.text(job.rawValue), .timestamp(instant), .uuid(run.rawValue), .text(outcome.rawValue)]
        ) == 1
    }

    func settle(_ fire: StoredFire, as outcome: FireOutcome) async throws {
        _ = try await change(
            "UPDATE etl.fires SET outcome = $3 WHERE job = $1 AND instant = $2",
            [.text(fire.job.rawValue), .timestamp(fire.instant), .text(outcome.rawValue)]
        )
    }

    /// Fires whose run has not begun, oldest first: what a leader left behind, and what waits for a run to end.
    func open() async throws -> [StoredFire] {
        let rows = try await query(
            "SELECT job, instant, run_id, outcome FROM etl.fires WHERE outcome IN ('due', 'waiting') "
                + "ORDER BY instant LIMIT 1000",
            []
        ).rows
        return try rows.compactMap { row in
            guard !row[2].isNull, let outcome = FireOutcome(rawValue: try row[3].string()) else { return nil }
            return StoredFire(
                job: JobName(rawValue: try row[0].string()),
                instant: try row[1].date(),
                runID: RunID(rawValue: try row[2].uuid()),
                outcome: outcome
            )
        }
    }

    /// The newest instant on record of every job.
    func lastFires(before limit: Date) async throws -> [JobName: Date] {
        let rows = try await query(
            "SELECT j.job, (SELECT max(instant) FROM etl.fires f WHERE f.job = j.job AND f.instant < $1) "
                + "FROM (SELECT DISTINCT job FROM etl.fires) j",
            [.timestamp(limit)]
        ).rows
        return Dictionary(
            try rows.filter { !$0[1].isNull }.map { (JobName(rawValue: try $0[0].string()), try $0[1].date()) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    // MARK: Switches

    func enabled() async throws -> SwitchRecord? {
        try await query("SELECT enabled, changed_by, changed_at FROM etl.scheduler", []).rows.first.map(Self.record)
    }

    /// The setting counts until an operator decides otherwise; that decision survives restarts.
    func remember(defaultEnabled: Bool) async throws {
        _ = try await change(
            "INSERT INTO etl.scheduler (enabled, changed_by) VALUES ($1, 'settings') ON CONFLICT (id) DO UPDATE "
                + "SET enabled = excluded.enabled WHERE etl.scheduler.changed_by = 'settings'",
            [.bool(defaultEnabled)]
        )
    }

    func set(enabled: Bool, by: String) async throws {
        _ = try await change(
            "INSERT INTO etl.scheduler (enabled, changed_by) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET "
                + "enabled = excluded.enabled, changed_by = excluded.changed_by, changed_at = clock_timestamp()",
            [.bool(enabled), .text(by)]
        )
    }

    func set(paused: Bool, job: JobName, by: String) async throws {
        _ = try await change(
            "INSERT INTO etl.schedules (job, paused, changed_by) VALUES ($1, $2, $3) ON CONFLICT (job) DO UPDATE SET "
                + "paused = excluded.paused, changed_by = excluded.changed_by, changed_at = clock_timestamp()",
            [.text(job.rawValue), .bool(paused), .text(by)]
        )
    }

    /// Schedules somebody paused or resumed; `isOn` is false while paused.
    func pauses() async throws -> [JobName: SwitchRecord] {
        let rows = try await query("SELECT NOT paused, changed_by, changed_at, job FROM etl.schedules", []).rows
        return Dictionary(
            try rows.map { (JobName(rawValue: try $0[3].string()), try Self.record($0)) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    func leader() async throws -> String? {
        try await query(
            "SELECT holder FROM etl.leases WHERE name = 'scheduler' AND expires_at > clock_timestamp()",
            []
        ).rows.first?[0].string()
    }

    /// Whether somebody leads whose session lives and who was heard of within the life of a lease.
    func leaderLives() async throws -> Bool {
        try await state.withConnection { try await Lease.isHeld("scheduler", on: $0) }
    }

    private static func record(_ row: PGRow) throws -> SwitchRecord {
        SwitchRecord(isOn: try row[0].bool(), changedBy: try row[1].string(), changedAt: try row[2].date())
    }

    private func query(_ sql: String, _ values: [PGValue]) async throws -> PGResult {
        try await state.withConnection { try await $0.query(sql, values) }
    }

    private func change(_ sql: String, _ values: [PGValue]) async throws -> Int {
        try await query(sql, values).affectedRows
    }
}
