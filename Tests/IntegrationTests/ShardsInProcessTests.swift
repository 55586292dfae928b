import Engine
import Logging
import Postgres
import ProductSync
import Runtime
import Synchronization
import TestKit
import Testing

/// `SYNC_SHARDS`: one run, its shards side by side in one process.
@Suite(.serialized) struct ShardsInProcessTests {
    private static func settings(_ shards: Int, orphans: OrphanPolicy = .report, percent: Int = 5)
        -> ProductSyncSettings
    {
        ProductSyncSettings(batchSize: 50, orphanPolicy: orphans, deletePercentMax: percent, shards: shards)
    }

    /// More shards than there are connections; every kind of difference, orphans at the edges of ranges among them.
    @Test(arguments: [2, 16])
    func itDoesWhatOneSyncDoes(shards: Int) async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<3_000)
        let bench = try await SyncBench.make(source: server.url)
        let first = try await bench.run(bench.job(Self.settings(shards)))
        #expect(first.state == .succeeded, "\(String(describing: first.error))")
        #expect(first.summary?["counts"]?["syncedProducts"] == 3_000)
        #expect(first.summary?["details"]?["finalCount"]?["drift"] == 0)
        try await bench.execute(
            """
            DELETE FROM product WHERE hashtext(id) % 10 = 0;
            UPDATE product SET title = 'x' WHERE hashtext(id) % 10 = 1;
            INSERT INTO product (id) VALUES ('ffffffffffffffffffffffff'), ('0'), ('zzz')
            """
        )
        let before = try await bench.fingerprint()
        let dry = try await bench.run(bench.job(Self.settings(shards)), RunOptions(dryRun: true))
        #expect(try await bench.fingerprint() == before, "INV-10")
        let whole = try await bench.run(bench.job(), RunOptions(dryRun: true))
        let run = try await bench.run(bench.job(Self.settings(shards, orphans: .delete)), RunOptions(verify: true))
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        #expect(run.summary?["proof"] == "full-compare")
        for name in ["missingProducts", "staleProducts", "orphanedProducts", "unchangedProducts"] {
            let expected = whole.summary?["counts"]?[name]
            #expect(dry.summary?["counts"]?[name] == expected, "\(name)")
            #expect(run.summary?["counts"]?[name] == expected, "\(name)")
        }
        #expect(run.summary?["counts"]?["deletedProducts"] == 3)
        #expect(try await bench.number("SELECT count(*)::int FROM etl.shards WHERE state = 'done'") == 2 * shards)
        try await bench.execute("DELETE FROM etl.runs WHERE cut IS NOT NULL")
        _ = try await Housekeeping(state: bench.cart, policy: RetentionPolicy()).sweep()
        #expect(try await bench.number("SELECT count(*)::int FROM etl.shards") == 0, "shards go with their run")
        let after = try await bench.run(bench.job(), RunOptions(dryRun: true))
        #expect(after.summary?["counts"]?["unchangedProducts"] == 3_000)
        #expect(after.summary?["counts"]?["orphanedProducts"] == 0)
        await bench.close()
        server.stop()
    }

    /// INV-6: the limit is of the whole, also where one range holds nothing but orphans.
    @Test func theLimitOfOrphansIsOfTheWhole() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<1_000)
        let bench = try await SyncBench.make(source: server.url)
        _ = try await bench.run(bench.job())
        try await bench.execute("INSERT INTO product (id) SELECT 'f' || n FROM generate_series(1, 40) n")
        let refused = try await bench.run(bench.job(Self.settings(4, orphans: .delete, percent: 3)))
        #expect(refused.state == .failed)
        #expect(refused.error?.kind == TallyError.Kind.changeImplausible.rawValue)
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 1_040, "nothing was removed")
        let done = try await bench.run(bench.job(Self.settings(4, orphans: .delete, percent: 4)))
        #expect(done.state == .succeeded, "\(String(describing: done.error))")
        #expect(done.summary?["counts"]?["deletedProducts"] == 40)
        await bench.close()
        server.stop()
    }

    /// A daemon that died: the run that takes the work up again does only the shards that were lost.
    ///
    /// What was found so long ago that the shop may be another by now is looked at again as well.
    @Test(arguments: [false, true])
    func onlyLostShardsAreDoneAgain(isLongAgo: Bool) async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<1_000)
        let bench = try await SyncBench.make(source: server.url)
        let passes = Mutex(0)
        let dying = Failpoint { name in
            guard name == "sync.durable",
                passes.withLock({
                    $0 += 1
                    return $0
                }) == 3
            else { return }
            throw TallyError(.cancelled, during: "test", "stopped here")
        }
        let pool = PGPool(bench.cart.settings, maxConnections: 4)
        let job = ProductSyncJob(settings: Self.settings(4), mongo: bench.mongo, cart: pool)
        let first = try await bench.run(job, failpoint: dying)
        #expect(first.state != .succeeded)
        let done = try await bench.number("SELECT count(*)::int FROM etl.shards WHERE state = 'done'")
        #expect(done == 2, "one shard at a time with four connections")
        if isLongAgo {
            try await bench.execute(
                "UPDATE etl.shards SET finished_at = now() - interval '61 minutes' WHERE shard = 0;"
                    + "UPDATE etl.shards SET finished_at = now() - interval '50 minutes' WHERE shard = 1"
            )
        }
        let runner = JobRunner(
            state: bench.cart,
            jobs: [job],
            holder: "next",
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await runner.run() }
            defer { group.cancelAll() }
            let id = try await runner.submit(
                job.name,
                RunOptions(),
                trigger: .schedule,
                requestedBy: "test",
                resuming: first
            )
            let second = try await runner.wait(id)
            #expect(second.state == .succeeded, "\(String(describing: second.error))")
            #expect(second.summary?["counts"]?["totalProductsInSource"] == 1_000)
            let shards = try await ShardStore(state: bench.cart).shards(of: id)
            let attempts = isLongAgo ? [1, 1, 2, 2] : [1, 1, 1, 2]
            #expect(shards.map(\.attempts).sorted() == attempts, "only what was lost is done again")
            #expect(shards[1].attempts == 1)
        }
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 1_000)
        await pool.close()
        await bench.close()
        server.stop()
    }

    /// Where the sides share no order, each shard's rows are among those that the others add.
    private static let unordered = """
        CREATE TABLE product (id varchar COLLATE "und-x-icu" PRIMARY KEY, title varchar, price numeric, image varchar,
            "sellerId" varchar, quantity int)
        """

    private static func keyed(_ count: Int, bad: Int = 0) throws -> MongoStandIn {
        let server = try MongoStandIn()
        try server.load(
            "products",
            (0..<count).map { number in
                BSONWriter.document { writer in
                    writer.append("_id", string: "key-\(number)")
                    writer.append("title", string: "t\(number)")
                    if number < bad { writer.append("quantity", string: "many") }
                }
            }
        )
        return server
    }

    @Test func aFirstSyncOfKeysWithoutACommonOrderCountsWhatItAdds() async throws {
        let server = try Self.keyed(5_000)
        let bench = try await SyncBench.make(table: Self.unordered, source: server.url)
        let run = try await bench.run(bench.job(Self.settings(4)))
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        #expect(run.summary?["details"]?["compare"] == "lookup")
        #expect(run.summary?["details"]?["finalCount"]?["drift"] == 0)
        #expect(run.summary?["counts"]?["insertedProducts"] == 5_000)
        #expect(run.summary?["counts"]?["totalProductsInTarget"] == 0)
        await bench.close()
        server.stop()
    }

    /// INV-6: the limit is of what was there before the run, not of what it has added.
    @Test(arguments: [1, 4])
    func theLimitOfOrphansKnowsNoRowsOfThisRun(shards: Int) async throws {
        let server = try Self.keyed(5_000)
        let bench = try await SyncBench.make(table: Self.unordered, source: server.url)
        try await bench.execute("INSERT INTO product (id) SELECT 'old-' || n FROM generate_series(1, 100) n")
        let run = try await bench.run(bench.job(Self.settings(shards, orphans: .delete)))
        #expect(run.error?.kind == TallyError.Kind.changeImplausible.rawValue, "\(run.state)")
        #expect(run.error?.summary.hasPrefix("100 of 100 target rows") == true, "\(String(describing: run.error))")
        #expect(try await bench.number("SELECT count(*)::int FROM product WHERE id LIKE 'old-%'") == 100)
        await bench.close()
        server.stop()
    }

    /// Rows whose documents have gone bad are neither found alike nor written; so are rows that have no key at all.
    @Test func rowsThatWereNotComparedAreAllowedFor() async throws {
        let server = try Self.keyed(1_000, bad: 40)
        let bench = try await SyncBench.make(
            table: Self.unordered.replacing("PRIMARY KEY", with: "UNIQUE"),
            source: server.url
        )
        try await bench.execute(
            "INSERT INTO product (id) SELECT 'key-' || n FROM generate_series(0, 999) n;"
                + "INSERT INTO product (title) SELECT 'no key' FROM generate_series(1, 60)"
        )
        let run = try await bench.run(bench.job(Self.settings(4)))
        #expect(run.state == .partial, "\(String(describing: run.error))")
        #expect(run.summary?["counts"]?["deadLetters"] == 40)
        await bench.close()
        server.stop()
    }
}
