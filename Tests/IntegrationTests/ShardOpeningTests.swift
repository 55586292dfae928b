import Engine
import Mongo
import Postgres
import ProductSync
import Runtime
import Synchronization
import TestKit
import Testing

/// How a run in shards begins, and what its bookkeeping takes: other mappings, old runs, replies that are lost.
@Suite(.serialized) struct ShardOpeningTests {
    private typealias Column = SyncMapping.Column

    /// Each names the same columns of the same table.
    private static let others: [SyncMapping] = [
        SyncMapping(columns: [Column(name: "title", path: ["name"])]),
        SyncMapping(columns: [Column(name: "title", path: ["title"], missing: .reject)]),
        SyncMapping(columns: [Column(name: "title", path: ["title"], missing: .literal(.string("")))]),
        SyncMapping(columns: [Column(name: "title", path: ["title"])], version: "title"),
    ]

    @Test func anotherMappingIsRefused() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<100)
        let bench = try await SyncBench.make(source: server.url)
        func shards(_ mapping: SyncMapping, _ bench: SyncBench) -> ShardProcess {
            ShardProcess(bench, ProductSyncSettings(mapping: mapping))
        }
        let title = SyncMapping(columns: [Column(name: "title", path: ["title"])])
        try await shards(title, bench).carry(0, of: 2)
        for other in Self.others {
            let refused = await #expect(throws: TallyError.self, "\(other.columns)") {
                _ = try await shards(other, bench).join(1, of: 2)
            }
            #expect(refused?.kind == .requestInvalid)
        }
        // The same mapping of another source.
        let elsewhere = try MongoStandIn()
        try elsewhere.loadProducts(0..<100)
        let settings = MongoSettings.self
        let mongo = try MongoPool(
            settings.init(url: Secret(elsewhere.url), user: nil, password: nil, applicationName: "tallyman-test")
        )
        let moved = SyncBench(url: bench.url, cart: bench.cart, mongo: mongo)
        await #expect(throws: TallyError.self) { _ = try await shards(title, moved).join(1, of: 2) }
        #expect(try await shards(title, bench).carry(1, of: 2).state == .succeeded)
        await mongo.close()
        await bench.close()
        server.stop()
        elsewhere.stop()
    }

    /// A COMMIT whose reply was lost is sent again.
    @Test func whatIsDoneIsDoneAgainByWhoDidIt() async throws {
        let state = try await ScriptedRuns.database()
        let run = try await ShardProcess.opened(state).id
        let store = ShardStore(state: state)
        let result = ShardResult(counts: [:], details: .null, deadLetters: 0, remainder: [])
        for (index, isLast) in [(0, false), (1, true)] {
            let part = RunID()
            for _ in 0..<2 {
                #expect(try await store.take(index, of: run, by: part, fence: 1) != .done)
            }
            for _ in 0..<2 { #expect(try await store.finish(index, of: run, by: part, result) == isLast) }
            let other = await #expect(throws: TallyError.self) {
                _ = try await store.finish(index, of: run, by: RunID(), result)
            }
            #expect(other?.kind == .leaseLost, "another process's shard stays its own")
        }
        #expect(try await store.shards(of: run).map(\.attempts) == [1, 1])
        await state.close()
    }

    /// A state database that refuses every third change of a shard for a moment.
    @Test func bookkeepingIsTriedAgain() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<300)
        let bench = try await SyncBench.make(source: server.url)
        try await bench.execute(
            """
            CREATE SEQUENCE stumbles;
            CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('stumbles') % 3 = 1 THEN RAISE 'not now' USING ERRCODE = '40001'; END IF;
                RETURN NULL; END $$;
            CREATE TRIGGER stumble BEFORE UPDATE ON etl.shards FOR EACH STATEMENT EXECUTE FUNCTION stumble()
            """
        )
        let inside = try await bench.run(bench.job(ProductSyncSettings(shards: 3)))
        #expect(inside.state == .succeeded, "\(String(describing: inside.error))")
        let shards = ShardProcess(bench)
        for index in 0..<2 {
            let run = try await shards.carry(index, of: 2)
            #expect(run.state == .succeeded, "\(String(describing: run.error))")
        }
        #expect(try await bench.number("SELECT last_value::int FROM stumbles") > 10)
        await bench.close()
        server.stop()
    }

    private static func leaveRun(_ state: PGPool) async throws -> RunID {
        let ledger = Ledger(state: state)
        let left = RunID()
        try await ledger.insert(left, "product_sync", RunOptions(), trigger: .cli, requestedBy: "test", holder: "dead")
        try await ledger.move(left, to: .running, fence: 1)
        return left
    }

    /// INV-1: what was left is fenced before it is called interrupted.
    @Test func aLeftRunStaysOpenUntilItsTargetIsFenced() async throws {
        let state = try await ScriptedRuns.database()
        let bare = PGPool(
            PGSettings(url: Secret(try TestPostgres.shared().freshDatabase()), applicationName: "tallyman-test"),
            maxConnections: 2
        )
        let left = try await Self.leaveRun(state)
        await #expect(throws: TallyError.self) { _ = try await ShardProcess.opened(state, targets: [bare]) }
        #expect(try await Ledger(state: state).run(left)?.state == .running)
        let opened = try await ShardProcess.opened(state, targets: [state])
        #expect(try await Ledger(state: state).run(left)?.state == .interrupted)
        #expect(opened.isInParts)
        await bare.close()
        await state.close()
    }

    /// INV-4: an opener that was frozen for longer than its lease lives opens nothing.
    @Test func anOpenerThatWasReplacedOpensNothing() async throws {
        let state = try await ScriptedRuns.database()
        _ = try await Self.leaveRun(state)
        try await state.withConnection { connection in
            try await connection.execute(
                """
                CREATE FUNCTION replace() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    UPDATE etl.leases SET fence = fence + 1 WHERE name = 'job:product_sync'; RETURN NULL; END $$;
                CREATE TRIGGER replace AFTER UPDATE ON etl.runs FOR EACH ROW WHEN (new.state = 'interrupted')
                    EXECUTE FUNCTION replace()
                """
            )
        }
        let refused = await #expect(throws: TallyError.self) { _ = try await ShardProcess.opened(state) }
        #expect(refused?.kind == .leaseLost)
        let runs = try await state.withConnection { try await $0.query("SELECT count(*)::int FROM etl.shards") }
        #expect(try runs.rows[0][0].int() == 0)
        await state.close()
    }

    /// A cut may be as long as a read of all ids: nobody makes one in vain, however often he asks.
    @Test func nothingIsCutWhileTheSyncRunsElsewhere() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<100)
        let bench = try await SyncBench.make(source: server.url)
        let cuts = Mutex(0)
        let asks = Mutex(0)
        let runs = RunInParts(state: bench.cart, job: "product_sync", targets: [bench.cart], holder: "test")
        let meanwhile = Failpoint { name in
            guard name == "compare.found" else { return }
            asks.withLock { $0 += 1 }
            await #expect(throws: RunBusy.self) {
                _ = try await runs.join(nil, options: RunOptions(), requestedBy: "test") {
                    cuts.withLock { $0 += 1 }
                    return ShardCut(facts: .null, shards: [])
                }
            }
        }
        #expect(try await bench.run(bench.job(), failpoint: meanwhile).state == .succeeded)
        #expect(asks.withLock { $0 } > 0)
        #expect(cuts.withLock { $0 } == 0)
        await bench.close()
        server.stop()
    }
}
