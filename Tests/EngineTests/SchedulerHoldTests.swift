import Engine
import Foundation
import Logging
import Postgres
import Runtime
import TestKit
import Testing

/// What holds a fire, what must not, and what standing by costs.
@Suite struct SchedulerHoldTests {
    private static func at(_ seconds: TimeInterval) -> Date { SchedulerBench.at(seconds) }

    /// `misfire: all` means one run each, also when a run takes longer than a second and whatever the overlap policy.
    @Test(arguments: OverlapPolicy.allCases)
    func everyMissedFireGetsItsRun(overlap: OverlapPolicy) async throws {
        let pool = try await SchedulerBench.database()
        let calls = Watched(0)
        let gate = Watched(0)
        let bench = try SchedulerBench.make(pool) {
            $0.overlap = overlap
            $0.misfire = .all
        } _: {
            let call = calls.change { count in
                count += 1
                return count
            }
            try await gate.wait { $0 >= call }
        }
        try await bench.serving {
            // 600, 1200 and 1800 were missed.
            try await bench.clock.move(to: Self.at(1_900))
            try await calls.wait { $0 == 1 }
            #expect(try await bench.fires("waiting") == 2)
            for step in 1...3 {
                gate.change { $0 = step }
                try await bench.settled()
                try await bench.clock.move(to: Self.at(1_900 + Double(step)))
            }
            try await bench.settled()
            #expect(try await bench.runs(.succeeded) == 3)
            #expect(try await bench.runs(.skipped) == 0)
            #expect(try await bench.fires("started") == 3)
        }
        await pool.close()
    }

    /// A fire that waits for a run to end does not start while its job is paused or the schedule is stopped.
    @Test(arguments: [true, false])
    func whatWaitsIsHeldByPauseAndStop(pausing: Bool) async throws {
        let pool = try await SchedulerBench.database()
        let release = TestSignal()
        let calls = Watched(0)
        let bench = try SchedulerBench.make(pool) {
            $0.overlap = .queue
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
            #expect(try await bench.fires("waiting") == 1)
            let scheduler = bench.scheduler
            if pausing { try await scheduler.pause("counted", by: "ann") } else { try await scheduler.stop(by: "ann") }
            release.fire()
            try await bench.settled()
            try await bench.clock.move(to: Self.at(1_202))
            try await bench.clock.move(to: Self.at(1_203))
            #expect(try await bench.fires("waiting") == 1, "held, not dropped")
            #expect(calls.value == 1)
            if pausing {
                try await scheduler.resume("counted", by: "ann")
            } else {
                try await scheduler.start(by: "ann")
            }
            try await bench.clock.move(to: Self.at(1_204))
            try await bench.settled()
            #expect(try await bench.runs(.succeeded) == 2)
        }
        await pool.close()
    }

    /// A left-over run that cannot be fenced holds up its own job only.
    @Test func aRunThatCannotBeClosedStopsNoOtherJob() async throws {
        let pool = try await SchedulerBench.database()
        // A target whose migrations are missing: no retry helps.
        let target = try await SchedulerBench.database(migrated: false)
        let id = "00000000-0000-4000-8000-000000000002"
        _ = try await pool.withConnection { connection in
            try await connection.execute(
                """
                INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, options, state, holder, fence, queued_at,
                    started_at, heartbeat_at)
                VALUES ('\(id)', 'stuck', 'cli', 'test', false, '{"dryRun": false}', 'running', 'dead', 3,
                    now() - interval '1 minute', now() - interval '1 minute', now() - interval '1 minute');
                INSERT INTO etl.leases VALUES ('job:stuck', 'dead', '\(id)', 3, now() - interval '50 seconds')
                """
            )
        }
        let stuck = SchedulerBench.CountingJob(name: "stuck", targets: [target]) {}
        let bench = try SchedulerBench.make(pool, others: [stuck])
        try await bench.serving {
            try await bench.clock.move(to: Self.at(601))
            try await bench.settledButStuck()
            #expect(try await bench.runs(.succeeded) == 1)
            #expect(try await bench.scheduler.status().isLeader)
            #expect(try await bench.runs(.running) == 1, "it was not called closed")
            _ = try await target.withConnection { try await EngineMigrations.migrator().up($0) }
            try await Eventually.holds("it is closed") { try await bench.runs(.interrupted) == 1 }
        }
        await pool.close()
        await target.close()
    }

    /// What cannot start is said once, not each second.
    @Test func aFireThatCannotStartIsLoggedOnce() async throws {
        let pool = try await SchedulerBench.database()
        let lines = Watched<[String]>([])
        let bench = try SchedulerBench.make(pool, logger: Logger(label: "test") { _ in LineKeeper(lines: lines) }) {
            $0 = ScheduleDefinition(job: "absent", expression: $0.expression, timeZone: $0.timeZone)
        }
        try await bench.serving {
            for second in 601...606 { try await bench.clock.move(to: Self.at(Double(second))) }
            #expect(try await bench.fires("due") == 1, "it stays open")
        }
        #expect(lines.value.filter { $0.contains("could not start") }.count == 1)
        await pool.close()
    }

    /// A replica that stands by opens no session each second.
    @Test func standingByOpensNoSessions() async throws {
        let pool = try await SchedulerBench.database()
        let leader = try SchedulerBench.make(pool)
        let standby = try SchedulerBench.make(pool, holder: "two")
        func sessions() async throws -> Int {
            try await pool.withConnection {
                try await $0.query(
                    "SELECT sessions::int FROM pg_stat_database WHERE datname = current_database()"
                ).rows[0][0].int()
            }
        }
        try await leader.serving {
            try await standby.serving {
                // The pool has as many sessions by now as the two will need.
                for second in 1...5 { try await standby.clock.move(to: Self.at(Double(second))) }
                let before = try await sessions()
                for second in 6...35 { try await standby.clock.move(to: Self.at(Double(second))) }
                let opened = try await sessions() - before
                #expect(opened < 15, "\(opened) sessions in thirty seconds")
            }
        }
        await pool.close()
    }
}

extension SchedulerBench {
    /// All runs have ended but the one left behind.
    fileprivate func settledButStuck() async throws {
        for run in try await Ledger(state: pool).runs(limit: 100) where !run.state.isFinal && run.job != "stuck" {
            _ = try await runner.wait(run.id)
        }
    }
}
