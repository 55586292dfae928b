import Cron
import Engine
import Foundation
import Logging
import Postgres
import Runtime
import Synchronization
import TestKit
import Testing

/// The scheduler over a real state database, driven by a clock of the test's.
@Suite struct SchedulerTests {
    /// Time moves when the test says so; a sleeping scheduler wakes with each move.
    private final class TestClock: Sendable {
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

    private struct CountingJob: Job {
        let name: JobName
        let knownOptions: Set<RunOptionName> = [.dryRun]
        var targets: [PGPool] { [] }
        let body: @Sendable () async throws -> Void

        func run(_ context: RunContext) async throws -> RunSummary {
            try await body()
            return RunSummary(counts: [:], details: .null, deadLetters: 0, proof: .compareOnly)
        }
    }

    private struct Bench {
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
    }

    private static func at(_ seconds: TimeInterval) -> Date { Date(timeIntervalSince1970: 1_795_132_800 + seconds) }

    private static func database() async throws -> PGPool {
        let url = try TestPostgres.shared().freshDatabase()
        let pool = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 8)
        _ = try await pool.withConnection { try await EngineMigrations.migrator().up($0) }
        return pool
    }

    private static func bench(
        _ pool: PGPool,
        start: Date = at(0),
        holder: String = "one",
        enabled: Bool = true,
        _ change: (inout ScheduleDefinition) -> Void = { _ in },
        _ body: @escaping @Sendable () async throws -> Void = {}
    ) throws -> Bench {
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        var schedule = ScheduleDefinition(
            job: "counted",
            expression: try CronExpression("*/10 * * * *"),
            timeZone: .gmt
        )
        change(&schedule)
        let clock = TestClock(start)
        let runner = JobRunner(
            state: pool,
            jobs: [CountingJob(name: "counted", body: body)],
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
        return Bench(pool: pool, clock: clock, runner: runner, scheduler: scheduler)
    }

    @Test func firesOnceEachAndOnRecord() async throws {
        let bench = try Self.bench(try await Self.database())
        try await bench.serving {
            for step in 1...4 {
                try await bench.clock.move(to: Self.at(Double(step) * 600 + 1))
                try await bench.settled()
                try await bench.clock.move(to: Self.at(Double(step) * 600 + 2))
            }
            #expect(try await bench.fires("started") == 4)
            #expect(try await bench.runs(.succeeded) == 4)
            // Two hours back: nothing fires again. Forward to where it was: nothing either.
            try await bench.clock.move(to: Self.at(-4_800))
            try await bench.clock.move(to: Self.at(2_402))
            #expect(try await bench.fires() == 4)
            // Two hours forward is a misfire: one run makes up for all.
            try await bench.clock.move(to: Self.at(2_402 + 7_200))
            try await bench.settled()
            #expect(try await bench.fires() == 5)
        }
        await bench.pool.close()
    }

    @Test func aRestartLosesAndDoublesNothing() async throws {
        let pool = try await Self.database()
        let first = try Self.bench(pool)
        try await first.serving {
            try await first.clock.move(to: Self.at(601))
            try await first.settled()
        }
        // A leader died between the record and the run; another died just after the run began.
        _ = try await pool.withConnection { connection in
            try await connection.query(
                """
                INSERT INTO etl.fires (job, instant, run_id, outcome) VALUES
                    ('counted', $1, gen_random_uuid(), 'due'), ('counted', $2, (SELECT id FROM etl.runs LIMIT 1), 'due')
                """,
                [.timestamp(Self.at(1_200)), .timestamp(Self.at(1_800))]
            )
        }
        let second = try Self.bench(pool, start: Self.at(1_900), holder: "two")
        try await second.serving {
            try await second.settled()
            try await second.clock.move(to: Self.at(1_901))
            #expect(try await second.fires("started") == 3)
            #expect(try await second.runs(.succeeded) == 2, "the fire whose run had begun began no second one")
        }
        await pool.close()
    }

    @Test func overlapSkipsOrWaits() async throws {
        for policy in OverlapPolicy.allCases {
            let release = TestSignal()
            let calls = Watched(0)
            let bench = try Self.bench(try await Self.database()) {
                $0.overlap = policy
            } _: {
                let call = calls.change { count in
                    count += 1
                    return count
                }
                if call == 1 { await release.wait() }
            }
            try await bench.serving {
                try await bench.clock.move(to: Self.at(601))
                try await calls.wait { $0 == 1 }
                try await bench.clock.move(to: Self.at(1_201))
                try await bench.clock.move(to: Self.at(1_801))
                let waiting = policy == .queue ? 1 : 0
                #expect(try await bench.fires("waiting") == waiting)
                #expect(try await bench.runs(.skipped) == 2 - waiting, "one waits at most, the rest is on record")
                release.fire()
                try await bench.settled()
                try await bench.clock.move(to: Self.at(1_802))
                try await bench.settled()
                try await bench.clock.move(to: Self.at(1_803))
                #expect(try await bench.runs(.succeeded) == 1 + waiting)
                #expect(try await bench.fires("waiting") == 0)
            }
            await bench.pool.close()
        }
    }

    @Test func pauseAndStopSurviveARestart() async throws {
        let pool = try await Self.database()
        let first = try Self.bench(pool)
        try await first.serving {
            try await first.scheduler.pause("counted", by: "ann")
            try await first.clock.move(to: Self.at(601))
            #expect(try await first.runs(.succeeded) == 0)
        }
        let second = try Self.bench(pool, start: Self.at(700), holder: "two")
        try await second.serving {
            try await second.clock.move(to: Self.at(1_201))
            #expect(try await second.runs(.succeeded) == 0)
            let status = try await second.scheduler.status()
            #expect(status.schedules[0].isPaused)
            #expect(status.schedules[0].switched?.changedBy == "ann")
            #expect(status.leader == "two" && status.isLeader)
            try await second.scheduler.resume("counted", by: "bob")
            try await second.clock.move(to: Self.at(1_210))
            #expect(try await second.fires("started") == 0, "what fell due while paused is not made up")
            try await second.clock.move(to: Self.at(1_801))
            try await second.settled()
            #expect(try await second.runs(.succeeded) == 1)
            try await second.scheduler.stop(by: "eve")
        }
        let third = try Self.bench(pool, start: Self.at(1_900), holder: "three")
        try await third.serving {
            try await third.clock.move(to: Self.at(2_401))
            #expect(try await third.runs(.succeeded) == 1)
            #expect(try await third.scheduler.status().switched?.changedBy == "eve")
        }
        await pool.close()
    }

    @Test func twoReplicasHaveOneLeader() async throws {
        let pool = try await Self.database()
        let one = try Self.bench(pool)
        let two = try Self.bench(pool, holder: "two")
        try await one.serving {
            try await two.serving {
                for step in 1...5 {
                    try await one.clock.move(to: Self.at(Double(step) * 600 + 1))
                    try await two.clock.move(to: Self.at(Double(step) * 600 + 1))
                }
                try await one.settled()
                #expect(try await one.fires() == 5)
                let leaders = try await [one.scheduler.status().isLeader, two.scheduler.status().isLeader]
                #expect(leaders.filter { $0 }.count == 1)
            }
        }
        await pool.close()
    }

    /// The run of a process that died is closed as interrupted, and its work is taken up again.
    @Test func aRunLeftByTheDeadIsTakenUpAgain() async throws {
        let pool = try await Self.database()
        _ = try await pool.withConnection { connection in
            try await connection.execute(
                """
                INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, options, state, holder, started_at,
                    heartbeat_at)
                VALUES ('00000000-0000-4000-8000-000000000001', 'counted', 'schedule', 'scheduler', false,
                    '{"dryRun": false}', 'running', 'dead', now() - interval '1 minute', now() - interval '1 minute');
                INSERT INTO etl.leases VALUES ('job:counted', 'dead', '00000000-0000-4000-8000-000000000001', 7,
                    now() - interval '50 seconds')
                """
            )
        }
        let bench = try Self.bench(pool)
        try await bench.serving {
            try await bench.settled()
            let runs = try await Ledger(state: pool).runs()
            #expect(runs.map(\.state).sorted { $0.rawValue < $1.rawValue } == [.interrupted, .succeeded])
            let again = try #require(runs.first { $0.state == .succeeded })
            #expect(again.attempt == 2)
            #expect(again.resumedFrom?.description == "00000000-0000-4000-8000-000000000001")
            #expect(again.fence == 9, "fences rise: one for the closing, one for the new run")
        }
        await pool.close()
    }
}
