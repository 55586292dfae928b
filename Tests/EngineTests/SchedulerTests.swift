import Foundation
import Postgres
import Runtime
import TestKit
import Testing

@testable import Engine

/// The scheduler over a real state database, driven by a clock of the test's.
@Suite struct SchedulerTests {
    @Test func firesOnceEachAndOnRecord() async throws {
        let bench = try SchedulerBench.make(try await SchedulerBench.database())
        try await bench.serving {
            for step in 1...4 {
                try await bench.clock.move(to: SchedulerBench.at(Double(step) * 600 + 1))
                try await bench.settled()
                try await bench.clock.move(to: SchedulerBench.at(Double(step) * 600 + 2))
            }
            #expect(try await bench.fires("started") == 4)
            #expect(try await bench.runs(.succeeded) == 4)
            // Two hours back: nothing fires again. Forward to where it was: nothing either.
            try await bench.clock.move(to: SchedulerBench.at(-4_800))
            try await bench.clock.move(to: SchedulerBench.at(2_402))
            #expect(try await bench.fires() == 4)
            // Two hours forward is a misfire: one run makes up for all.
            try await bench.clock.move(to: SchedulerBench.at(2_402 + 7_200))
            try await bench.settled()
            #expect(try await bench.fires() == 5)
        }
        await bench.pool.close()
    }

    @Test func aRestartLosesAndDoublesNothing() async throws {
        let pool = try await SchedulerBench.database()
        let first = try SchedulerBench.make(pool)
        try await first.serving {
            try await first.clock.move(to: SchedulerBench.at(601))
            try await first.settled()
        }
        // A leader died between the record and the run; another died just after the run began.
        _ = try await pool.withConnection { connection in
            try await connection.query(
                """
                INSERT INTO etl.fires (job, instant, run_id, outcome) VALUES
                    ('counted', $1, gen_random_uuid(), 'due'), ('counted', $2, (SELECT id FROM etl.runs LIMIT 1), 'due')
                """,
                [.timestamp(SchedulerBench.at(1_200)), .timestamp(SchedulerBench.at(1_800))]
            )
        }
        let second = try SchedulerBench.make(pool, start: SchedulerBench.at(1_900), holder: "two")
        try await second.serving {
            try await second.settled()
            try await second.clock.move(to: SchedulerBench.at(1_901))
            #expect(try await second.fires("started") == 3)
            #expect(try await second.runs(.succeeded) == 2, "the fire whose run had begun began no second one")
        }
        await pool.close()
    }

    @Test func overlapSkipsOrWaits() async throws {
        for policy in OverlapPolicy.allCases {
            let release = TestSignal()
            let calls = Watched(0)
            let bench = try SchedulerBench.make(try await SchedulerBench.database()) {
                $0.overlap = policy
            } _: {
                let call = calls.change { count in
                    count += 1
                    return count
                }
                if call == 1 { await release.wait() }
            }
            try await bench.serving {
                try await bench.clock.move(to: SchedulerBench.at(601))
                try await calls.wait { $0 == 1 }
                try await bench.clock.move(to: SchedulerBench.at(1_201))
                try await bench.clock.move(to: SchedulerBench.at(1_801))
                let waiting = policy == .queue ? 1 : 0
                #expect(try await bench.fires("waiting") == waiting)
                #expect(try await bench.runs(.skipped) == 2 - waiting, "one waits at most, the rest is on record")
                release.fire()
                try await bench.settled()
                try await bench.clock.move(to: SchedulerBench.at(1_802))
                try await bench.settled()
                try await bench.clock.move(to: SchedulerBench.at(1_803))
                #expect(try await bench.runs(.succeeded) == 1 + waiting)
                #expect(try await bench.fires("waiting") == 0)
            }
            await bench.pool.close()
        }
    }

    @Test func pauseAndStopSurviveARestart() async throws {
        let pool = try await SchedulerBench.database()
        let first = try SchedulerBench.make(pool)
        try await first.serving {
            try await first.scheduler.pause("counted", by: "ann")
            try await first.clock.move(to: SchedulerBench.at(601))
            #expect(try await first.runs(.succeeded) == 0)
        }
        let second = try SchedulerBench.make(pool, start: SchedulerBench.at(700), holder: "two")
        try await second.serving {
            try await second.clock.move(to: SchedulerBench.at(1_201))
            #expect(try await second.runs(.succeeded) == 0)
            let status = try await second.scheduler.status()
            #expect(status.schedules[0].isPaused)
            #expect(status.schedules[0].switched?.changedBy == "ann")
            #expect(status.leader == "two" && status.isLeader)
            try await second.scheduler.resume("counted", by: "bob")
            try await second.clock.move(to: SchedulerBench.at(1_210))
            #expect(try await second.fires("started") == 0, "what fell due while paused is not made up")
            try await second.clock.move(to: SchedulerBench.at(1_801))
            try await second.settled()
            #expect(try await second.runs(.succeeded) == 1)
            try await second.scheduler.stop(by: "eve")
        }
        let third = try SchedulerBench.make(pool, start: SchedulerBench.at(1_900), holder: "three")
        try await third.serving {
            try await third.clock.move(to: SchedulerBench.at(2_401))
            #expect(try await third.runs(.succeeded) == 1)
            #expect(try await third.scheduler.status().switched?.changedBy == "eve")
        }
        await pool.close()
    }

    @Test func twoReplicasHaveOneLeader() async throws {
        let pool = try await SchedulerBench.database()
        let one = try SchedulerBench.make(pool)
        let two = try SchedulerBench.make(pool, holder: "two")
        try await one.serving {
            try await two.serving {
                for step in 1...5 {
                    try await one.clock.move(to: SchedulerBench.at(Double(step) * 600 + 1))
                    try await two.clock.move(to: SchedulerBench.at(Double(step) * 600 + 1))
                }
                try await one.settled()
                #expect(try await one.fires() == 5)
                let leaders = try await [one.scheduler.status().isLeader, two.scheduler.status().isLeader]
                #expect(leaders.filter { $0 }.count == 1)
            }
        }
        await pool.close()
    }

    /// What was stopped or paused stays so, also when a process died in the middle of it.
    @Test(arguments: [true, false]) func nothingIsTakenUpWhileNothingMayStart(isStopped: Bool) async throws {
        let pool = try await SchedulerBench.database()
        let first = try SchedulerBench.make(pool)
        try await first.serving {
            if isStopped {
                try await first.scheduler.stop(by: "eve")
            } else {
                try await first.scheduler.pause("counted", by: "eve")
            }
        }
        try await Self.leaveARun(in: pool)
        let second = try SchedulerBench.make(pool, holder: "two")
        try await second.scheduler.takeUpLeft()
        #expect(try await Ledger(state: pool).runs().map(\.state) == [.interrupted], "closed, and not begun again")
        await pool.close()
    }

    /// A clock that was a year ahead for a moment leaves a fire of then; what falls due now is due all the same.
    @Test func aFireFarAheadKeepsNothingFromFallingDue() async throws {
        let pool = try await SchedulerBench.database()
        let bench = try SchedulerBench.make(pool)
        try await bench.serving {
            try await bench.clock.move(to: SchedulerBench.at(601))
            try await bench.settled()
            try await bench.clock.move(to: SchedulerBench.at(366 * 86_400))
            try await bench.settled()
            let before = try await bench.fires("started")
            try await bench.clock.move(to: SchedulerBench.at(1_199))
            #expect(try await bench.fires("started") == before)
            try await bench.clock.move(to: SchedulerBench.at(1_201))
            try await bench.settled()
            #expect(try await bench.fires("started") == before + 1)
        }
        await pool.close()
    }

    private static func leaveARun(in pool: PGPool) async throws {
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
    }

    /// The run of a process that died is closed as interrupted, and its work is taken up again.
    @Test func aRunLeftByTheDeadIsTakenUpAgain() async throws {
        let pool = try await SchedulerBench.database()
        try await Self.leaveARun(in: pool)
        let bench = try SchedulerBench.make(pool)
        try await bench.serving {
            try await Eventually.holds("the work is taken up") { try await Ledger(state: pool).runs().count == 2 }
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
