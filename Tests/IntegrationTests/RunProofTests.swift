import Engine
import Foundation
import Postgres
import Runtime
import TestKit
import Testing

/// What the engine promises about runs: taken up, tried again, ended, and all of it said.
@Suite struct RunProofTests {
    private static let quick = Backoff(base: .milliseconds(1), ceiling: .milliseconds(4), attemptsMax: 4)

    // MARK: Runs left behind

    /// A writer that froze in its transaction commits nothing once its run is closed, also when nobody runs the job
    /// again.
    @Test func aClosedRunCanCommitNothing() async throws {
        let runs = try await ScriptedRuns()
        let runner = runs.runner(targets: [runs.state]) { _ in 0 }
        let frozen = try await PGConnection.connect(runs.state.settings)
        try await frozen.execute("CREATE TABLE t (n int); INSERT INTO etl.fences (job, fence) VALUES ('scripted', 1)")
        let id = try await Self.leave(runs, "cli", attempt: 1, fence: 1)
        try await frozen.execute(
            "INSERT INTO etl.leases VALUES ('job:scripted', 'dead:1', '\(id)', 1, now() - interval '1 minute')"
        )
        try await frozen.begin()
        try await frozen.execute(
            "UPDATE etl.fences SET touched_at = now() WHERE fence = 1; SET LOCAL application_name = "
                + "'tallyman writes scripted'; INSERT INTO t VALUES (1)"
        )
        #expect(try await runner.recover { _ in true } == 1)
        #expect(try await runs.ledger.run(id)?.state == .interrupted)
        await #expect(throws: TallyError.self) { try await frozen.commit() }
        let rows = try await runs.state.withConnection { try await $0.query("SELECT n FROM t").rows.count }
        #expect(rows == 0)
        #expect(try await runs.ledger.runs().count == 1, "a run of the command line is not taken up")
        await frozen.close()
        await runs.state.close()
    }

    /// Puts a run into the ledger as a process left it that died a minute ago.
    static func leave(
        _ runs: ScriptedRuns,
        _ trigger: String,
        attempt: Int,
        fence: Int? = nil,
        stopped: Bool = false
    ) async throws -> RunID {
        let id = RunID()
        let state = stopped ? "interrupted" : "running"
        let error = stopped ? "'{\"kind\": \"cancelled\", \"stage\": \"run\", \"summary\": \"cancelled\"}'" : "NULL"
        try await runs.state.withConnection { connection in
            try await connection.execute(
                """
                INSERT INTO etl.runs (id, job, trigger, requested_by, dry_run, options, state, holder, attempt, fence,
                    queued_at, started_at, heartbeat_at, finished_at, error, progress)
                VALUES ('\(id)', 'scripted', '\(trigger)', 'test', false, '{"dryRun": false}', '\(state)', 'dead:1',
                    \(attempt), \(fence.map { "\($0)" } ?? "NULL"), now() - interval '2 minutes',
                    now() - interval '1 minute', now() - interval '1 minute',
                    \(stopped ? "now() - interval '1 minute'" : "NULL"), \(error), '{"written": 41}')
                """
            )
        }
        return id
    }

    @Test func aDeadProcessUsesAnAttemptAStoppedOneDoesNot() async throws {
        for (stopped, attempt, follows) in [(false, 1, 2), (true, 1, 1), (true, 3, 3), (false, 3, nil)]
            as [(Bool, Int, Int?)]
        {
            let runs = try await ScriptedRuns()
            let runner = runs.runner { _ in 0 }
            let left = try await Self.leave(runs, "api", attempt: attempt, stopped: stopped)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await runner.run() }
                defer { group.cancelAll() }
                #expect(try await runner.recover { _ in true } == 1)
                let record = try #require(try await runs.ledger.run(left))
                #expect(record.state == .interrupted)
                #expect(record.progress?["written"] == 41, "its last progress stays")
                let next = try await runs.ledger.runs().first { $0.id != left }
                #expect(next?.attempt == follows, "stopped: \(stopped), attempt \(attempt)")
                #expect(next?.resumedFrom == (follows == nil ? nil : left))
                if let next { #expect(try await runner.wait(next.id).state == .succeeded) }
                #expect(try await runner.recover { _ in true } == 0, "once is enough")
            }
            await runs.state.close()
        }
    }

    /// A run that is cancelled because its process stops is `interrupted`, with no attempt used.
    @Test func aStopIsNoAttempt() async throws {
        let runs = try await ScriptedRuns()
        let id = try await runs.stopped(.schedule)
        #expect(try await runs.ledger.run(id)?.state == .interrupted)
        let second = runs.runner(holder: "two") { _ in 0 }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await second.run() }
            defer { group.cancelAll() }
            #expect(try await second.recover { _ in true } == 1)
            let next = try #require(try await runs.ledger.runs().first { $0.id != id })
            #expect(next.attempt == 1 && next.resumedFrom == id)
            #expect(try await second.wait(next.id).state == .succeeded)
        }
        await runs.state.close()
    }

    /// Only the lease's own connection ends: it is taken again, and the run is the same.
    @Test func aRunOutlivesItsLeasesSession() async throws {
        let runs = try await ScriptedRuns()
        let reached = TestSignal()
        let goOn = TestSignal()
        let runner = runs.runner { _ in
            reached.fire()
            await goOn.wait()
            return 0
        }
        let locks =
            "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            + "WHERE d.datname = current_database() AND l.locktype = 'advisory' AND granted"
        let record = try await runs.once(runner) { _ in
            await reached.wait()
            func holder() async throws -> Int? {
                try await runs.state.withConnection { try await $0.query(locks).rows.first?[0].int() }
            }
            let before = try await holder()
            _ = try await runs.state.withConnection {
                try await $0.query("SELECT pg_terminate_backend(pid) FROM (\(locks)) l")
            }
            try await Eventually.holds("another session holds the lock") {
                let now = try await holder()
                return now != nil && now != before
            }
            goOn.fire()
        }
        #expect(record.state == .succeeded && record.attempt == 1)
        await runs.state.close()
    }

    // MARK: Trying again

    @Test func aRunThatTriedAgainSaysSo() async throws {
        for failures in [2, 9] {
            let runs = try await ScriptedRuns()
            let calls = Watched(0)
            let runner = runs.runner(settings: RunSettings(backoff: Self.quick)) { context in
                try await context.retrying("test.step") {
                    let call = calls.change { count in
                        count += 1
                        return count
                    }
                    guard call > failures else { throw TallyError(.transactionConflict, during: "test.step", "again") }
                    return 0
                }
            }
            let record = try await runs.once(runner)
            #expect(record.state == (failures == 2 ? .succeeded : .failed))
            #expect(record.summary?["retries"] == .int(min(failures, 4)))
            await runs.state.close()
        }
    }

    @Test func retryAfterIsHonouredUpToItsCeiling() async throws {
        let runs = try await ScriptedRuns()
        let clock = ContinuousClock()
        let calls = Watched<[ContinuousClock.Instant]>([])
        let polite = runs.runner(settings: RunSettings(backoff: Self.quick)) { context in
            try await context.retrying("test.step") {
                let isFirst = calls.change { calls in
                    calls.append(clock.now)
                    return calls.count == 1
                }
                if isFirst {
                    throw TallyError(.serverBusy, during: "test.step", "later", retryAfter: .milliseconds(1_200))
                }
                return 0
            }
        }
        #expect(try await runs.once(polite).state == .succeeded)
        #expect(calls.value.count == 2 && calls.value[1] - calls.value[0] >= .milliseconds(1_200))
        let refused = runs.runner(settings: RunSettings(backoff: Self.quick)) { context in
            try await context.retrying("test.step") {
                throw TallyError(.serverBusy, during: "test.step", "tomorrow", retryAfter: .seconds(86_400))
            }
        }
        let record = try await runs.once(refused)
        #expect(record.state == .failed && record.error?.summary == "tomorrow")
        await runs.state.close()
    }

    @Test func backoffHasFullJitterAndACeiling() {
        let backoff = Backoff(base: .milliseconds(100), ceiling: .seconds(1), attemptsMax: 8)
        for attempt in 0..<8 {
            let bound = min(Duration.seconds(1), .milliseconds(100) * (1 << attempt))
            var sum = Duration.zero
            for seed in SeededGenerator.seeds(200) {
                var random = SeededGenerator(seed: seed)
                let delay = backoff.delay(attempt: attempt, using: &random) ?? .seconds(99)
                #expect(delay >= .zero && delay <= bound, "\(random)")
                sum += delay
            }
            #expect(sum / 200 > bound * 0.4 && sum / 200 < bound * 0.6, "uniform from nothing to the bound")
        }
        var random = SeededGenerator(seed: 1)
        #expect(backoff.delay(attempt: 8, using: &random) == nil)
    }

    // MARK: Ends

    @Test func aStageWithoutProgressIsEndedByName() async throws {
        let runs = try await ScriptedRuns()
        let runner = runs.runner(settings: RunSettings(stallTimeout: .seconds(2))) { context in
            context.progress.stage("digest")
            for _ in 0..<4 {
                try await Task.sleep(for: .seconds(1))
                context.progress.add(read: 1)
            }
            // Waiting on purpose is no stall.
            context.progress.note(waiting: true)
            try await Task.sleep(for: .seconds(4))
            context.progress.note(waiting: false)
            context.progress.stage("hang")
            try await Task.sleep(for: .seconds(600))
            return 0
        }
        let record = try await runs.once(runner)
        #expect(record.state == .failed)
        #expect(record.error?.kind == TallyError.Kind.deadlineExceeded.rawValue)
        #expect(record.error?.summary.contains("stage hang") == true)
        await runs.state.close()
    }

    /// Too many bad records are a broken mapping.
    @Test func moreDeadLettersThanTheCeilingHaltTheRun() async throws {
        let runs = try await ScriptedRuns()
        let runner = runs.runner(targets: [runs.state]) { context in
            let letters = (0...DeadLetterSink.runMax).map {
                DeadLetter(key: "\($0)", reason: "bad", kind: "test", columns: [], fingerprint: nil)
            }
            try await runs.state.withConnection { connection in
                try await connection.withTransaction { connection in
                    for start in stride(from: 0, to: letters.count, by: 1_000) {
                        let part = letters[start..<min(letters.count, start + 1_000)]
                        try await context.deadLetters.record(Array(part), in: connection)
                        context.progress.touch()
                    }
                }
            }
            return letters.count
        }
        let record = try await runs.once(runner)
        #expect(record.state == .failed)
        #expect(record.error?.kind == TallyError.Kind.tooManyDeadLetters.rawValue)
        #expect(record.error?.remedy?.contains("mapping") == true)
        await runs.state.close()
    }
}
