import Cron
import Engine
import Foundation
import Logging
import Postgres
import Runtime
import TestKit

/// A scheduler over a real state database, with a job that counts and a clock that the test drives.
struct SchedulerBench {
    /// Time moves when the test says so; a sleeping scheduler wakes with each move.
    final class TestClock: Sendable {
        private let moment: Watched<(now: Date, moves: Int)>
        /// Ticks finished: the scheduler sleeps again.
        let sleeps = Watched(0)

        init(_ now: Date) { moment = Watched((now, 0)) }

        var clock: EngineClock {
            EngineClock(
                now: { self.moment.value.now },
                sleep: { _ in
                    let moves = self.moment.value.moves
                    self.sleeps.change { $0 += 1 }
                    try await self.moment.wait(within: .seconds(60)) { $0.moves > moves }
                }
            )
        }

        /// Sets the time and returns once the scheduler has looked at it and sleeps again.
        func move(to date: Date) async throws {
            let before = sleeps.value
            moment.change { $0 = (date, $0.moves + 1) }
            try await sleeps.wait { $0 > before }
        }
    }

    struct CountingJob: Job {
        let name: JobName
        let knownOptions: Set<RunOptionName> = [.dryRun]
        var targets: [PGPool] = []
        let body: @Sendable () async throws -> Void

        func run(_ context: RunContext) async throws -> RunSummary {
            try await body()
            return RunSummary(counts: [:], details: .null, deadLetters: 0, proof: .compareOnly)
        }
    }

    let pool: PGPool
    let clock: TestClock
    let runner: JobRunner
    let scheduler: Scheduler

    /// Serves until `body` has ended.
    func serving(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await runner.run() }
            group.addTask { try await scheduler.run() }
            defer { group.cancelAll() }
            try await clock.sleeps.wait { $0 > 0 }
            try await body()
        }
    }

    func fires(_ outcome: String? = nil) async throws -> Int {
        let filter = outcome.map { "outcome = '\($0)'" } ?? "outcome <> 'baseline'"
        return try await pool.withConnection {
            try await $0.query("SELECT count(*)::int FROM etl.fires WHERE \(filter)").rows[0][0].int()
        }
    }

    func runs(_ state: RunState) async throws -> Int {
        try await Ledger(state: pool).runs(state: state, limit: 1_000).count
    }

    /// All runs there are have ended.
    func settled() async throws {
        for run in try await Ledger(state: pool).runs(limit: 100) where !run.state.isFinal {
            _ = try await runner.wait(run.id)
        }
    }

    static func at(_ seconds: TimeInterval) -> Date { Date(timeIntervalSince1970: 1_795_132_800 + seconds) }

    static func database(migrated: Bool = true) async throws -> PGPool {
        let url = try TestPostgres.shared().freshDatabase()
        let pool = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 8)
        if migrated { _ = try await pool.withConnection { try await EngineMigrations.migrator().up($0) } }
        return pool
    }

    static func make(
        _ pool: PGPool,
        start: Date = at(0),
        holder: String = "one",
        enabled: Bool = true,
        others: [any Job] = [],
        logger: Logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
        _ change: (inout ScheduleDefinition) -> Void = { _ in },
        _ body: @escaping @Sendable () async throws -> Void = {}
    ) throws -> SchedulerBench {
        var schedule = ScheduleDefinition(
            job: "counted",
            expression: try CronExpression("*/10 * * * *"),
            timeZone: .gmt
        )
        change(&schedule)
        let clock = TestClock(start)
        let runner = JobRunner(
            state: pool,
            jobs: [CountingJob(name: "counted", body: body)] + others,
            holder: holder,
            logger: logger
        )
        let scheduler = Scheduler(
            state: pool,
            runner: runner,
            schedules: [schedule],
            enabledAtStart: enabled,
            holder: holder,
            clock: clock.clock,
            logger: logger
        )
        return SchedulerBench(pool: pool, clock: clock, runner: runner, scheduler: scheduler)
    }
}
