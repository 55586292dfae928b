import Foundation
import TestKit
import Testing

/// Shards in processes of their own: killed, frozen, late, asked for wrongly; their union is one sync.
@Suite(.serialized) struct ShardTests {
    /// The points that only a sync in shards passes; `FailpointTests` holds the list against the code.
    static let points = ["shard.finish", "shard.close"]
    private static let orphansAnywhere = 12

    private struct Rig {
        let shop: CrashShop
        let cart: String
        var settings: [String: String]

        /// A damaged cart with orphans below, between and above all products, and a log of what is deleted.
        static func make(products: Int, bad: Int = 0) async throws -> Rig {
            let shop = try await CrashShop.make(products: products)
            let beyond = (0..<bad).map { number in
                BSONWriter.document { writer in
                    var id = ShopDocuments.id(number * 700 + 350)
                    id[11] += 1
                    writer.append("_id", objectID: id)
                    writer.append("quantity", string: "many")
                }
            }
            try shop.server.load("products", beyond)
            return try Rig(shop, try shop.damagedCart())
        }

        init(_ shop: CrashShop, _ cart: String) throws {
            self.shop = shop
            self.cart = cart
            settings = shop.settings(cart: cart)
            settings["SYNC_ORPHANS"] = "delete"
            settings["SYNC_MAX_DELETE_PERCENT"] = "100"
            settings["SYNC_BATCH_SIZE"] = "200"
            try sql(
                """
                INSERT INTO product (id) SELECT v FROM unnest(ARRAY['', '0', 'Zed', 'nobody', 'ÿ', 'zzz',
                    'ffffffffffffffffffffffff', '000000000000000000000000']) v;
                INSERT INTO product (id) SELECT '65a00000' || lpad(to_hex(n * 17 + 4), 16, '0')
                    FROM unnest(ARRAY[1, 200, 300, 590]) n;
                CREATE TABLE deleted (id text);
                CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN INSERT INTO deleted VALUES (old.id); RETURN old; END $$;
                CREATE TRIGGER log AFTER DELETE ON product FOR EACH ROW EXECUTE FUNCTION log();
                """
            )
        }

        @discardableResult
        func sql(_ text: String) throws -> String {
            try shop.postgres.psql(cart, text).trimmingCharacters(in: .newlines)
        }

        func start(_ arguments: [String], failing point: String? = nil) throws -> ChildProcess {
            var settings = settings
            settings["TALLYMAN_FAILPOINT"] = point
            let child = try TallymanBinary.start(["sync", "--json"] + arguments, settings)
            child.closeInput()
            return child
        }

        func run(_ arguments: [String], failing point: String? = nil) throws -> ChildProcess.Progress {
            try ended(try start(arguments, failing: point))
        }

        func ended(_ child: ChildProcess) throws -> ChildProcess.Progress {
            guard child.progress.waitBlocking(within: .seconds(180), until: { $0.exit != nil }) else {
                throw TestServiceMissing("a shard did not end: \(child.progress.value.errorText)")
            }
            return child.progress.value
        }

        /// Returns once a query answers so.
        func reach(_ query: String, _ answer: String) async throws {
            let clock = ContinuousClock()
            let deadline = clock.now + .seconds(120)
            while try sql(query) != answer {
                guard clock.now < deadline else { throw TestServiceMissing("never \(answer): \(query)") }
                try await clock.sleep(for: .milliseconds(50))
            }
        }

        func digest() throws -> String { try shop.digest(cart) }

        /// Every value of a table that an unsharded sync of a copy has made.
        func unsharded() throws -> (digest: String, counts: String) {
            let copy = TestTag.fresh()
            guard let slash = cart.range(of: "/", options: .backwards) else { throw TestServiceMissing("no database") }
            let name = cart[slash.upperBound...].prefix { $0 != "?" }
            try shop.postgres.psql(shop.postgres.adminURL, "CREATE DATABASE \(copy) TEMPLATE \(name)")
            let other = cart.replacingOccurrences(of: name, with: copy)
            try shop.postgres.psql(other, "TRUNCATE etl.runs, etl.shards")
            var settings = settings
            settings["CART_DB_URL"] = other
            let whole = try TallymanBinary.run(["sync", "--json"], settings)
            guard whole.exit == .code(0) || whole.exit == .code(3) else { throw TestServiceMissing(whole.errorText) }
            let counts = try shop.postgres.psql(other, Self.counts).trimmingCharacters(in: .newlines)
            defer { shop.drop(other) }
            return (try shop.digest(other), counts)
        }

        static let counts = """
            SELECT state, (SELECT string_agg(key || ':' || value, ' ' ORDER BY key)
                FROM jsonb_each(summary -> 'counts') WHERE key IN ('totalProductsInSource', 'orphanedProducts',
                    'deletedProducts', 'orphansDeferred', 'deadLetters', 'changedMeanwhile')) FROM etl.runs
            WHERE job = 'product_sync' ORDER BY queued_at DESC LIMIT 1
            """

        func close() {
            shop.drop(cart)
            shop.server.stop()
        }
    }

    @Test func eightProcessesThreeKilledOneLateAreOneSync() async throws {
        let rig = try await Rig.make(products: 4_000, bad: 5)
        // The first comer cuts and dies; what it stored is what all others see.
        #expect(try rig.run(["--shard", "0/8"], failing: "submit.leaseWon").exit == .signal(SIGKILL))
        #expect(try rig.sql("SELECT count(*), count(*) FILTER (WHERE state = 'waiting') FROM etl.shards") == "8|8")
        // Orphans at the very edges of the ranges: behind each bound and before it.
        try rig.sql(
            """
            INSERT INTO product (id) SELECT (lower_bound ->> 'target') || e FROM etl.shards, unnest(ARRAY['', '0']) e
                WHERE lower_bound ->> 'target' IS NOT NULL ON CONFLICT DO NOTHING;
            INSERT INTO product (id) SELECT left(lower_bound ->> 'target', 23) FROM etl.shards
                WHERE lower_bound ->> 'target' IS NOT NULL ON CONFLICT DO NOTHING
            """
        )
        let expected = try rig.unsharded()
        let cut = try rig.sql(
            "SELECT md5(string_agg(shard || (lower_bound::text), ',' ORDER BY shard)) FROM etl.shards"
        )
        let deaths = [1: "write.beforeCommit:2", 2: "compare.settled", 3: "shard.finish"]
        let children = try (0..<7).map { ($0, try rig.start(["--shard", "\($0)/8"], failing: deaths[$0])) }
        for (shard, child) in children {
            let ended = try rig.ended(child)
            if deaths[shard] != nil {
                #expect(ended.exit == .signal(SIGKILL), "shard \(shard): \(ended.errorText)")
            } else {
                #expect([.code(0), .code(3)].contains(ended.exit), "shard \(shard): \(ended.errorText)")
            }
        }
        for shard in deaths.keys.sorted() {
            let again = try rig.run(["--shard", "\(shard)/8"])
            #expect([.code(0), .code(3)].contains(again.exit), "shard \(shard): \(again.errorText)")
        }
        let late = "SELECT r.state, s.state, s.attempts FROM etl.shards s JOIN etl.runs r ON r.id = s.run_id "
        #expect(try rig.sql(late + "WHERE shard = 7") == "running|waiting|0", "the run waits for its last shard")
        #expect(try rig.sql("SELECT count(*) FROM deleted") == "0", "orphans wait for the numbers of the whole")
        let last = try rig.run(["--shard", "7/8"])
        #expect([.code(0), .code(3)].contains(last.exit), "\(last.errorText)")

        #expect(try rig.digest() == expected.digest, "the union equals one sync")
        // What was missing or stale differs by what the killed had committed already.
        #expect(try rig.sql(Rig.counts) == expected.counts)
        #expect(try rig.sql("SELECT count(*) > 20, count(*) = count(DISTINCT id) FROM deleted") == "t|t")
        #expect(
            try rig.sql("SELECT string_agg(attempts::text, ' ' ORDER BY shard) FROM etl.shards") == "1 2 2 2 1 1 1 1",
            "only lost shards are done again"
        )
        #expect(
            try rig.sql("SELECT md5(string_agg(shard || (lower_bound::text), ',' ORDER BY shard)) FROM etl.shards")
                == cut
        )
        #expect(
            try rig.sql(
                "SELECT count(*), count(DISTINCT key), count(DISTINCT run_id) > 1, min(job) FROM etl.dead_letters "
                    + "WHERE resolved_at IS NULL"
            ) == "5|5|t|product_sync"
        )
        #expect(
            try rig.sql("SELECT summary -> 'details' -> 'finalCount' ->> 'drift' FROM etl.runs WHERE in_parts") == "0"
        )
        #expect(try rig.sql("SELECT count(*) FROM etl.runs WHERE in_parts") == "1")
        // What follows is a run of its own, and nothing is left to do.
        let after = try rig.run([])
        #expect(after.exit == .code(3), "\(after.errorText)")
        #expect(try rig.digest() == expected.digest)
        rig.close()
    }

    @Test func whatDoesNotFitTheRunIsRefused() async throws {
        var rig = try await Rig.make(products: 600)
        let first = try rig.run(["--shard", "0/3"])
        #expect(first.exit == .code(0), "\(first.errorText)")
        let other = try rig.run(["--shard", "0/4"])
        #expect(other.exit == .code(2))
        #expect(other.outputText.contains("is cut into 3 shards, not 4"), "\(other.outputText)")
        let whole = try rig.run(["--wait", "0"])
        #expect(whole.exit == .code(75), "the sync is going, in shards: \(whole.outputText)")
        let again = try rig.run(["--shard", "0/3"])
        #expect(again.exit == .code(0), "what is done is told, not done again")
        #expect(try rig.sql("SELECT attempts FROM etl.shards WHERE shard = 0") == "1")
        for wrong in ["3/3", "-1/3", "0/0", "0/1025", "1", "a/b"] {
            #expect(try rig.run(["--shard", wrong]).exit == .code(2), "\(wrong)")
        }
        #expect(try rig.run(["--shard", "1/3", "--dry-run"]).exit == .code(2))
        #expect(try rig.run(["--run", UUID().uuidString]).exit == .code(2))
        rig.settings["SYNC_ORPHANS"] = "report"
        let policy = try rig.run(["--shard", "1/3"])
        #expect(policy.exit == .code(2))
        #expect(policy.outputText.contains("orphan policy"), "\(policy.outputText)")
        rig.settings["SYNC_ORPHANS"] = "delete"
        // Somebody cancels it while none of its shards is going: the next comer opens another.
        try rig.sql("UPDATE etl.runs SET cancel_requested_by = 'test' WHERE in_parts")
        for shard in 0..<3 { #expect(try rig.run(["--shard", "\(shard)/3"]).exit == .code(0)) }
        let states = try rig.sql("SELECT string_agg(state, ' ' ORDER BY queued_at) FROM etl.runs WHERE in_parts")
        #expect(states == "cancelled succeeded")
        // No repetition heals a table that is not there.
        try rig.sql("ALTER TABLE product RENAME TO elsewhere")
        let nowhere = try rig.run(["--shard", "0/3"])
        #expect(nowhere.exit == .code(2))
        #expect(nowhere.outputText.contains("schema-mismatch"), "\(nowhere.outputText)")
        rig.close()
    }

    @Test func aNamedRunIsOpenedJoinedAndNeverBegunAgain() async throws {
        let rig = try await Rig.make(products: 600)
        let run = UUID().uuidString.lowercased()
        for shard in 0..<2 {
            let ended = try rig.run(["--shard", "\(shard)/2", "--run", run])
            #expect(ended.exit == .code(0), "\(ended.errorText)")
        }
        #expect(try rig.sql("SELECT state FROM etl.runs WHERE id = '\(run)'") == "succeeded")
        // A pod that died after its work was done is started once more.
        let late = try rig.run(["--shard", "1/2", "--run", run])
        #expect(late.exit == .code(0), "\(late.errorText)")
        let own = try rig.sql("SELECT id FROM etl.runs WHERE part_of = '\(run)' AND job = 'product_sync/1'")
        #expect(late.outputText.contains(own), "it is told of its own run: \(late.outputText)")
        #expect(try rig.sql("SELECT count(*) FROM etl.runs WHERE in_parts") == "1")

        // INV-11: a count that does not agree is a failure, and stays one.
        let second = UUID().uuidString.lowercased()
        #expect(try rig.run(["--shard", "0/2", "--run", second]).exit == .code(0))
        try rig.sql(
            "ALTER TABLE product DISABLE TRIGGER log; DELETE FROM product WHERE id < '65a0000000000000000013ec'"
        )
        let proof = try rig.run(["--shard", "1/2", "--run", second])
        #expect(proof.exit == .code(1))
        #expect(proof.outputText.contains("proof-failed"), "\(proof.outputText)")
        #expect(try rig.sql("SELECT state FROM etl.runs WHERE id = '\(second)'") == "failed")
        let refused = try rig.run(["--shard", "1/2", "--run", second])
        #expect(refused.exit == .code(2))
        #expect(refused.outputText.contains("has ended: failed"), "\(refused.outputText)")
        rig.close()
    }

    @Test func whoeverComesNextEndsWhatTheLastShardCouldNot() async throws {
        let rig = try await Rig.make(products: 600)
        let expected = try rig.unsharded()
        #expect(try rig.run(["--shard", "1/2"]).exit == .code(0))
        #expect(try rig.run(["--shard", "0/2"], failing: "shard.close").exit == .signal(SIGKILL))
        #expect(try rig.sql("SELECT state FROM etl.runs WHERE in_parts") == "running")
        // Killed once more, now between two batches of removal.
        #expect(try rig.run(["--shard", "0/2", "--batch-size", "5"], failing: "write.afterCommit:2").exit != .code(0))
        let last = try rig.run(["--shard", "0/2"])
        #expect(last.exit == .code(0), "\(last.errorText)")
        #expect(try rig.sql("SELECT state FROM etl.runs WHERE in_parts") == "succeeded")
        #expect(try rig.sql("SELECT string_agg(attempts::text, ' ' ORDER BY shard) FROM etl.shards") == "1 1")
        #expect(try rig.digest() == expected.digest)
        #expect(try rig.sql(Rig.counts) == expected.counts, "what the killed had removed by then counts too")
        #expect(
            try rig.sql("SELECT count(*), count(DISTINCT id) FROM deleted")
                == "\(Self.orphansAnywhere)|\(Self.orphansAnywhere)"
        )
        rig.close()
    }

    /// INV-4: shards run beside each other, never beside a sync in one process.
    @Test func aShardWaitsForTheSyncInOneProcess() async throws {
        let rig = try await Rig.make(products: 600)
        let whole = try rig.start([], failing: "compare.found:1:stop")
        try await rig.reach("SELECT count(*) FROM etl.runs WHERE state = 'running'", "1")
        let refused = try rig.run(["--shard", "0/2", "--wait", "0"])
        #expect(refused.exit == .code(75), "\(refused.outputText)")
        #expect(try rig.sql("SELECT count(*) FROM etl.shards") == "0")
        whole.signal(SIGKILL)
        #expect(try rig.ended(whole).exit == .signal(SIGKILL))
        for shard in 0..<2 { #expect(try rig.run(["--shard", "\(shard)/2", "--wait", "60"]).exit == .code(0)) }
        let states = try rig.sql(
            "SELECT string_agg(state, ' ' ORDER BY queued_at) FROM etl.runs WHERE job = 'product_sync'"
        )
        #expect(states == "interrupted succeeded")
        rig.close()
    }

    /// INV-4: a shard that froze before its commit is replaced; when it wakes up, it can commit nothing.
    @Test func aFrozenShardCommitsNothingOnceItIsReplaced() async throws {
        let rig = try await Rig.make(products: 600)
        let expected = try rig.unsharded()
        let frozen = try rig.start(["--shard", "0/2"], failing: "write.beforeCommit:1:stop")
        try await rig.reach(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                + "AND application_name LIKE 'tallyman writes product_sync/0%' AND state = 'idle in transaction'",
            "1"
        )
        #expect(try rig.run(["--shard", "1/2"]).exit == .code(0), "the others go on")
        let next = try rig.run(["--shard", "0/2", "--wait", "120"])
        #expect(next.exit == .code(0), "\(next.errorText)")
        #expect(try rig.digest() == expected.digest)
        frozen.signal(SIGCONT)
        #expect(try rig.ended(frozen).exit != .code(0))
        #expect(try rig.digest() == expected.digest, "the fence held")
        #expect(try rig.sql("SELECT state FROM etl.runs WHERE in_parts") == "succeeded")
        rig.close()
    }
}
