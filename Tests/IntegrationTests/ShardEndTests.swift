import Engine
import Mongo
import Postgres
import ProductSync
import Runtime
import Synchronization
import TestKit
import Testing

/// How a run in shards ends: by whom, with which numbers, and that a cancelled one does not.
@Suite(.serialized) struct ShardEndTests {
    private static let orphans = 12

    /// A cart that holds all products and a few rows that no document has.
    private static func shop(products: Int = 600, orphans: Int = orphans) async throws -> (MongoStandIn, SyncBench) {
        let server = try MongoStandIn()
        try server.loadProducts(0..<products)
        let bench = try await SyncBench.make(source: server.url)
        _ = try await bench.run(bench.job())
        try await bench.execute("INSERT INTO product (id) SELECT 'f' || n FROM generate_series(1, \(orphans)) n")
        return (server, bench)
    }

    private static func settings(shards: Int = 1) -> ProductSyncSettings {
        ProductSyncSettings(batchSize: 5, orphanPolicy: .delete, shards: shards)
    }

    @Test func aCancelledRunIsJoinedByNobody() async throws {
        let (server, bench) = try await Self.shop()
        let shards = ShardProcess(bench, Self.settings())
        let run = RunID()
        try await shards.carry(0, of: 2, run: run)
        #expect(try await Ledger(state: bench.cart).requestCancel(run, by: "test"))
        let refused = await #expect(throws: TallyError.self) { _ = try await shards.join(1, of: 2, run: run) }
        #expect(refused?.kind == .requestInvalid)
        #expect(try await shards.record(run).state == .cancelled, "nobody else is left to end it")
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 612)
        await bench.close()
        server.stop()
    }

    /// Short shards end before their first heartbeat hears of it.
    @Test(arguments: ["sync.durable", "shard.finish", "shard.close"])
    func aRunCancelledInItsLastShardNeverSucceeds(point: String) async throws {
        let (server, bench) = try await Self.shop()
        let shards = ShardProcess(bench, Self.settings())
        let run = RunID()
        try await shards.carry(0, of: 2, run: run)
        let cancel = Failpoint { name in
            if name == point { _ = try await Ledger(state: bench.cart).requestCancel(run, by: "test") }
        }
        #expect(try await shards.carry(1, of: 2, run: run, failpoint: cancel).state == .cancelled)
        await #expect(throws: TallyError.self) { _ = try await shards.join(1, of: 2, run: run) }
        #expect(try await shards.record(run).state == .cancelled)
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 612)
        await bench.close()
        server.stop()
    }

    @Test func oneProcessAtATimeEndsTheRun() async throws {
        let (server, bench) = try await Self.shop()
        let shards = ShardProcess(bench, Self.settings())
        let run = RunID()
        try await shards.carry(0, of: 2, run: run)
        let closings = Mutex(0)
        let meanwhile = Failpoint { name in
            guard name == "shard.close" else { return }
            closings.withLock { $0 += 1 }
            // A process that died after its shard was done is started again, just now.
            try await bench.execute("UPDATE etl.runs SET state = 'failed' WHERE job = 'product_sync/0'")
            let second = try await shards.carry(0, of: 2, run: run)
            #expect(second.state == .succeeded, "its shard is done: \(String(describing: second.error))")
            #expect(try await shards.record(run).state == .running, "it leaves the end to who is at it")
        }
        let last = try await shards.carry(1, of: 2, run: run, failpoint: meanwhile)
        #expect(last.state == .succeeded, "\(String(describing: last.error))")
        #expect(closings.withLock { $0 } == 1)
        let ended = try await shards.record(run)
        #expect(ended.state == .succeeded)
        #expect(ended.summary?["counts"]?["deletedProducts"]?.int == Self.orphans)
        await bench.close()
        server.stop()
    }

    /// Rows that the shop removes between the last look at them and our DELETE.
    @Test func orphansThatWentMeanwhileAreCountedAsGone() async throws {
        let (server, bench) = try await Self.shop(products: 1_000, orphans: 30)
        let shop = Failpoint { name in
            if name == "update.staged" { try await bench.execute("DELETE FROM product WHERE id LIKE 'f%'") }
        }
        let run = try await bench.run(bench.job(Self.settings(shards: 2)), failpoint: shop)
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        #expect(run.summary?["details"]?["finalCount"]?["drift"] == 0)
        #expect(run.summary?["counts"]?["deletedProducts"] == 0)
        #expect(run.summary?["counts"]?["changedMeanwhile"] == 30)
        await bench.close()
        server.stop()
    }

    @Test func aClosingDoneAgainTellsWhatTheWholeRunRemoved() async throws {
        let (server, bench) = try await Self.shop()
        let shards = ShardProcess(bench, Self.settings())
        let run = RunID()
        try await shards.carry(0, of: 2, run: run)
        let deletes = Mutex(0)
        let dying = Failpoint { name in
            guard name == "update.staged" else { return }
            let count = deletes.withLock { count in
                count += 1
                return count
            }
            if count == 3 { throw TallyError(.cancelled, during: "test", "stopped here") }
        }
        #expect(try await shards.carry(1, of: 2, run: run, failpoint: dying).state != .succeeded)
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 602, "two batches of five went")
        #expect(try await shards.record(run).state == .running)
        #expect(try await shards.carry(1, of: 2, run: run).state == .succeeded)
        let counts = try await shards.record(run).summary?["counts"]
        #expect(counts?["deletedProducts"]?.int == Self.orphans)
        #expect(counts?["changedMeanwhile"] == 0)
        await bench.close()
        server.stop()
    }

    /// A target that forgets what was committed, once or each time it is asked.
    @Test(arguments: [1, 9])
    func orphansThatAreRemovedTwiceAreCountedOnce(times: Int) async throws {
        let (server, bench) = try await Self.shop()
        let state = try await ScriptedRuns.database()
        let left = Mutex(times)
        let isDeleting = Mutex(false)
        let forgetting = Failpoint { name in
            if name == "update.staged" { isDeleting.withLock { $0 = true } }
            guard name == "write.afterCommit" else { return }
            let wasDeleting = isDeleting.withLock { isDeleting in
                defer { isDeleting = false }
                return isDeleting
            }
            guard wasDeleting else { return }
            let forgets = left.withLock { left in
                left -= 1
                return left >= 0
            }
            guard forgets else { return }
            let admin = try await PGConnection.connect(state.settings)
            let database = bench.url.split(separator: "/").last.map { String($0.prefix { $0 != "?" }) } ?? ""
            try await bench.execute(
                "INSERT INTO product (id) SELECT 'f' || n FROM generate_series(1, 12) n ON CONFLICT DO NOTHING"
            )
            _ = try await admin.query(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1 AND state = 'idle'",
                [.text(database)]
            )
            await admin.close()
        }
        let settings = ProductSyncSettings(batchSize: 50, orphanPolicy: .delete, shards: 2)
        let run = try await bench.run(bench.job(settings), failpoint: forgetting, state: state)
        if times == 1 {
            #expect(run.state == .succeeded, "\(String(describing: run.error))")
            #expect(run.summary?["counts"]?["deletedProducts"]?.int == Self.orphans)
            #expect(try await bench.number("SELECT count(*)::int FROM product") == 600)
        } else {
            #expect(run.error?.kind == TallyError.Kind.targetUnreachable.rawValue, "\(run.state)")
        }
        await bench.close()
        await state.close()
        server.stop()
    }

    /// The limit of bad records is of the whole run.
    @Test func theShardsBadRecordsAreAddedUp() async throws {
        let (server, bench) = try await Self.shop()
        let shards = ShardProcess(bench, Self.settings())
        let run = RunID()
        try await shards.carry(0, of: 2, run: run)
        try await bench.execute("UPDATE etl.shards SET counts = counts || '{\"deadLetters\": 10001}' WHERE shard = 0")
        let last = try await shards.carry(1, of: 2, run: run)
        #expect(last.error?.kind == TallyError.Kind.tooManyDeadLetters.rawValue)
        #expect(try await shards.record(run).state == .failed)
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 612)
        await bench.close()
        server.stop()
    }

    @Test func aShardToldOfItsEndIsToldItsOwn() async throws {
        let (server, bench) = try await Self.shop(orphans: 0)
        let bad = BSONWriter.document { writer in
            var id = ShopDocuments.id(599)
            id[11] += 1
            writer.append("_id", objectID: id)
            writer.append("quantity", string: "many")
        }
        try server.load("products", [bad])
        let shards = ShardProcess(bench, Self.settings())
        let run = RunID()
        let clean = try await shards.carry(0, of: 2, run: run)
        #expect(clean.state == .succeeded)
        #expect(try await shards.carry(1, of: 2, run: run).state == .partial)
        #expect(try await shards.record(run).state == .partial)
        #expect(try await shards.carry(0, of: 2, run: run).id == clean.id, "a clean shard is not called a bad one")
        await bench.close()
        server.stop()
    }

    /// Both sides are counted range by range, which would not find what no range holds.
    @Test func rangesThatLeaveSomethingOutFailTheRun() async throws {
        let (server, bench) = try await Self.shop(orphans: 0)
        let shards = ShardProcess(bench, Self.settings())
        let run = RunID()
        try await shards.carry(0, of: 2, run: run)
        try await bench.execute(
            "UPDATE etl.shards SET lower_bound = jsonb_set(lower_bound, '{target}', '\"ffff\"') WHERE shard = 1"
        )
        _ = try await shards.carry(1, of: 2, run: run)
        let ended = try await shards.record(run)
        #expect(ended.state == .failed)
        #expect(ended.error?.kind == TallyError.Kind.proofFailed.rawValue)
        #expect(ended.error?.summary.contains("leave something out") == true, "\(String(describing: ended.error))")
        await bench.close()
        server.stop()
    }
}
