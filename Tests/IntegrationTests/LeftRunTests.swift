import Engine
import Postgres
import Runtime
import TestKit
import Testing

/// What a run does about one that was left before it, and about targets that are busy when it begins.
@Suite struct LeftRunTests {
    /// INV-1: whoever calls a run interrupted has shut out its writer before, a dry run too.
    @Test(arguments: [true, false])
    func aRunThatIsFoundAtSubmitIsFencedFirst(dryRun: Bool) async throws {
        let runs = try await ScriptedRuns()
        let frozen = try await PGConnection.connect(runs.state.settings)
        let runner = runs.runner(targets: [runs.state]) { _ in 0 }
        try await frozen.execute("CREATE TABLE t (n int); INSERT INTO etl.fences (job, fence) VALUES ('scripted', 1)")
        let id = try await RunProofTests.leave(runs, "cli", attempt: 1, fence: 1)
        try await frozen.execute(
            "INSERT INTO etl.leases VALUES ('job:scripted', 'dead:1', '\(id)', 1, now() - interval '1 minute')"
        )
        try await frozen.begin()
        try await frozen.execute(
            "UPDATE etl.fences SET touched_at = now() WHERE fence = 1; SET LOCAL application_name = "
                + "'tallyman writes scripted'; INSERT INTO t VALUES (1)"
        )
        let record = try await runs.once(runner, options: RunOptions(dryRun: dryRun))
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        #expect(try await runs.ledger.run(id)?.state == .interrupted)
        await #expect(throws: TallyError.self) { try await frozen.commit() }
        let rows = try await runs.state.withConnection { try await $0.query("SELECT n FROM t").rows.count }
        #expect(rows == 0)
        await frozen.close()
        await runs.state.close()
    }

    /// A writer of several lanes that is awake holds the fence's row with one of them at any time: whoever waits for it
    /// behind a lane that came in meanwhile ends that one too, and soon.
    @Test func aLaneThatCameInMeanwhileIsEndedToo() async throws {
        let runs = try await ScriptedRuns()
        let lane = try await PGConnection.connect(runs.state.settings)
        let runner = runs.runner(targets: [runs.state]) { _ in 0 }
        try await lane.execute("INSERT INTO etl.fences (job, fence) VALUES ('scripted', 0)")
        // Not called a writer yet: no raise sees it when it begins.
        try await lane.begin()
        try await lane.execute("SELECT 1 FROM etl.fences FOR SHARE")
        try await withThrowingTaskGroup(of: RunRecord.self) { group in
            group.addTask { try await runs.once(runner) }
            var isAwaited = false
            while !isAwaited {
                isAwaited =
                    try await runs.state.withConnection {
                        try await $0.query(
                            "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                                + "AND datname = current_database()"
                        )
                    }.rows.first?[0].bool() ?? false
            }
            try await lane.execute("SET application_name = 'tallyman writes scripted'")
            let since = ContinuousClock.now
            let record = try await group.next()
            #expect(record?.state == .succeeded, "\(String(describing: record?.error))")
            #expect(ContinuousClock.now - since < .seconds(8))
        }
        await lane.close()
        await runs.state.close()
    }

    /// Who was told that the run is being cancelled sees it start nowhere again.
    @Test func aLeftRunThatIsCancelledStartsNoMore() async throws {
        let runs = try await ScriptedRuns()
        let told = Watched<[RunState]>([])
        let runner = runs.runner(ended: { ending in told.change { $0.append(ending.state) } }) { _ in 0 }
        let id = try await RunProofTests.leave(runs, "api", attempt: 1)
        #expect(try await runner.cancel(id, by: "test"))
        #expect(try await runner.recover { _ in true } == 1)
        #expect(try await runs.ledger.run(id)?.state == .cancelled)
        #expect(try await runner.recover { _ in true } == 0)
        #expect(try await runs.ledger.runs().count == 1)
        #expect(told.value.isEmpty, "somebody wanted it so")
        await runs.state.close()
    }

    /// The same for one whose process is told to stop before it hears of the cancel.
    @Test func aStoppedRunThatIsCancelledStartsNoMore() async throws {
        let runs = try await ScriptedRuns()
        let id = try await runs.stopped(.api) { id in
            let isAsked = try await runs.ledger.requestCancel(id, by: "test")
            #expect(isAsked)
        }
        #expect(try await runs.ledger.run(id)?.state == .cancelled)
        #expect(try await runs.runner(holder: "two") { _ in 0 }.recover { _ in true } == 0)
        #expect(try await runs.ledger.runs().count == 1)
        await runs.state.close()
    }

    /// A target that cannot be reached for a moment while the fence is raised costs a retry, not the run.
    @Test func raisingTheFenceIsTriedAgain() async throws {
        let runs = try await ScriptedRuns()
        let target = PGPool(runs.state.settings, maxConnections: 1, acquireTimeout: .milliseconds(100))
        let runner = runs.runner(targets: [target]) { _ in 0 }
        let occupied = TestSignal()
        let release = TestSignal()
        let record = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await target.withConnection { _ in
                    occupied.fire()
                    await release.wait()
                }
            }
            await occupied.wait()
            defer { release.fire() }
            let record = try await runs.once(runner) { id in
                try await Eventually.holds("it was tried again") { (runner.progress(id)?.retries ?? 0) > 0 }
                release.fire()
            }
            try await group.waitForAll()
            return record
        }
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        #expect((record.summary?["retries"]?.int ?? 0) > 0)
        await target.close()
        await runs.state.close()
    }
    /// docs/reliability.md, "A new or restored state database": refused at first, and the way out works.
    @Test func aNewStateDatabaseIsLiftedAboveItsTargets() async throws {
        let runs = try await ScriptedRuns()
        let target = try await ScriptedRuns.database()
        try await target.withConnection {
            try await $0.execute("INSERT INTO etl.fences (job, fence) VALUES ('scripted', 4711)")
        }
        let runner = runs.runner(targets: [target]) { _ in 0 }
        let refused = try await runs.once(runner)
        #expect(refused.error?.kind == TallyError.Kind.leaseLost.rawValue)
        #expect(refused.error?.remedy?.contains("docs/reliability.md") == true)
        try await runs.state.withConnection {
            try await $0.execute(
                """
                INSERT INTO etl.leases (name, holder, fence, expires_at)
                VALUES ('job:scripted', 'operator', 4711, now())
                ON CONFLICT (name) DO UPDATE SET fence = greatest(etl.leases.fence, excluded.fence)
                """
            )
        }
        #expect(try await runs.once(runner).state == .succeeded)
        await target.close()
        await runs.state.close()
    }
}
