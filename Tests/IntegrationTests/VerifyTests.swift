import Engine
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

/// The second compare (`--verify`) and the one after a lost connection: what they look at, key by key.
@Suite(.serialized) struct VerifyTests {
    /// A row that was left alone may differ, and stays as somebody left it.
    @Test func aRowThatWasLeftAloneIsExcused() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<50)
        let bench = try await SyncBench.make(source: server.url)
        _ = try await bench.run(bench.job())
        let left = ShopDocuments.hex(0)
        try await bench.execute("UPDATE product SET price = 1 WHERE id IN ('\(left)', '\(ShopDocuments.hex(3))')")
        let failpoint = Failpoint { name in
            guard name == "write.afterFence" else { return }
            try await bench.execute("UPDATE product SET quantity = 4711 WHERE id = '\(left)' AND price = 1")
        }
        let run = try await bench.run(bench.job(), RunOptions(verify: true), failpoint: failpoint)
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        #expect(run.summary?["counts"]?["changedMeanwhile"] == 1)
        #expect(run.summary?["counts"]?["writtenAgain"] == 0)
        #expect(try await bench.number("SELECT count(*)::int FROM product WHERE quantity = 4711") == 1)
        await bench.close()
        server.stop()
    }

    /// A shop goes on while it is verified: what differs by then is written once more, and again where it changes
    /// again; what is bad by then is not hidden.
    @Test(arguments: [1, 3])
    func aShopMayChangeWhileItIsVerified(shards: Int) async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<50)
        let bench = try await SyncBench.make(source: server.url)
        _ = try await bench.run(bench.job())
        let isVerified = Watched(false)
        let isEdited = Watched(false)
        let failpoint = Failpoint { name in
            if name == "sync.verify", isVerified.change({ !exchange(&$0, true) }) {
                try server.replace(ShopDocuments.product(7, revision: 1), in: "products")
                try server.loadProducts(50..<51)
                try await bench.execute(
                    "DELETE FROM product WHERE quantity = 9; UPDATE product SET price = 1 WHERE quantity = 3"
                )
                try server.replace(
                    BSONWriter.document { writer in
                        writer.append("_id", objectID: ShopDocuments.id(11))
                        writer.append("price", string: "much")
                    },
                    in: "products"
                )
            }
            if name == "update.staged", isVerified.value, isEdited.change({ !exchange(&$0, true) }) {
                try server.replace(ShopDocuments.product(7, revision: 2), in: "products")
            }
        }
        let settings = ProductSyncSettings(shards: shards)
        let run = try await bench.run(bench.job(settings), RunOptions(verify: true), failpoint: failpoint)
        #expect(run.state == .partial, "\(String(describing: run.error))")
        #expect(run.summary?["proof"]?.string == Proof.fullCompare.rawValue)
        // Of three shards some have not looked yet when the first is verified.
        if shards == 1 { #expect(run.summary?["counts"]?["writtenAgain"] == 5, "one of the four twice") }
        #expect(run.summary?["counts"]?["deadLetters"] == 1)
        #expect(try await bench.number("SELECT count(*)::int FROM etl.dead_letters WHERE kind = 'wrong-type'") == 1)
        #expect(try await bench.number("SELECT count(*)::int FROM product WHERE title = 'Product 7 rev 2'") == 1)
        let next = try await bench.run(bench.job(settings), RunOptions(dryRun: true))
        #expect(next.summary?["counts"]?["unchangedProducts"] == 50)
        await bench.close()
        server.stop()
    }

    /// A letter under a key too long for an index is known again by its digest.
    @Test func aBadDocumentIsOneLetterHoweverOftenItIsLookedAt() async throws {
        let server = try MongoStandIn()
        let ids = ["short", String(repeating: "long", count: 1_000)]
        let documents = ids.map { id in
            BSONWriter.document { writer in
                writer.append("_id", string: id)
                writer.append("price", string: "much")
            }
        }
        try server.load("products", documents.reversed())
        let bench = try await SyncBench.make(source: server.url)
        let run = try await bench.run(bench.job(), RunOptions(verify: true))
        #expect(run.state == .partial, "\(String(describing: run.error))")
        #expect(run.summary?["counts"]?["deadLetters"] == 2)
        #expect(try await bench.number("SELECT sum(occurrences)::int FROM etl.dead_letters") == 2)
        await bench.close()
        server.stop()
    }

    /// INV-11: what differs however often it is written is no proof.
    @Test func aRowThatNeverBecomesWhatWasWrittenFailsTheRun() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<50)
        let bench = try await SyncBench.make(source: server.url)
        try await bench.execute(
            """
            CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN IF NEW.quantity = 7 THEN NEW.title = 'SALE'; END IF; RETURN NEW; END $$;
            CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON product FOR EACH ROW EXECUTE FUNCTION shout()
            """
        )
        let run = try await bench.run(bench.job(), RunOptions(verify: true))
        #expect(run.state == .failed)
        #expect(run.error?.kind == TallyError.Kind.proofFailed.rawValue)
        #expect(run.error?.summary.contains("1 stale") == true, "\(String(describing: run.error))")
        await bench.close()
        server.stop()
    }

    @Test(arguments: [true, false])
    func aRemovedRowMayNotBeThereAgain(returns: Bool) async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<50)
        let bench = try await SyncBench.make(source: server.url)
        _ = try await bench.run(bench.job())
        try await bench.execute("INSERT INTO product (id) VALUES ('zz')")
        let failpoint = Failpoint { name in
            guard name == "sync.verify" else { return }
            // An orphan that nobody has removed yet is the next run's.
            try await bench.execute("INSERT INTO product (id) VALUES ('\(returns ? "zz" : "zzz")')")
        }
        let settings = ProductSyncSettings(orphanPolicy: .delete)
        let run = try await bench.run(bench.job(settings), RunOptions(verify: true), failpoint: failpoint)
        #expect(run.state == (returns ? .failed : .succeeded), "\(String(describing: run.error))")
        #expect(run.error?.kind == (returns ? TallyError.Kind.proofFailed.rawValue : nil))
        await bench.close()
        server.stop()
    }

    /// A server that crashed may have forgotten rows: they are written and removed once more, and what is bad by then
    /// is not hidden.
    @Test func whatTheLookAfterALossFindsIsCounted() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<50)
        let bench = try await SyncBench.make(
            table: """
                CREATE TABLE product (id varchar PRIMARY KEY, title varchar CHECK (title <> 'refused'), price numeric,
                    image varchar, "sellerId" varchar, quantity int)
                """,
            source: server.url
        )
        try await bench.execute("INSERT INTO product (id) VALUES ('zz')")
        let isLost = Watched(false)
        let failpoint = Failpoint { name in
            if name == "write.beforeCommit", isLost.change({ !exchange(&$0, true) }) {
                _ = try await bench.sql(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                        + "WHERE datname = current_database() AND state = 'idle in transaction'"
                )
            }
            guard name == "sync.durable" else { return }
            try await bench.execute(
                "DELETE FROM product WHERE id = '\(ShopDocuments.hex(3))'; INSERT INTO product (id) VALUES ('zz')"
            )
            let bad = BSONWriter.document { writer in
                writer.append("_id", objectID: ShopDocuments.id(5))
                writer.append("title", string: "refused")
            }
            try server.replace(bad, in: "products")
        }
        let settings = ProductSyncSettings(orphanPolicy: .delete, deletePercentMax: 100)
        let run = try await bench.run(bench.job(settings), failpoint: failpoint)
        #expect(run.state == .partial, "\(String(describing: run.error))")
        for (name, expected) in [
            ("missingProducts", 50), ("insertedProducts", 50), ("writtenAgain", 1), ("deletedProducts", 1),
            ("deadLetters", 1),
        ] {
            #expect(run.summary?["counts"]?[name]?.int == expected, "\(name)")
        }
        #expect(try await bench.number("SELECT count(*)::int FROM product WHERE id = 'zz'") == 0)
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 50)
        await bench.close()
        server.stop()
    }
}

/// Puts a value in the place of another, which it gives back.
private func exchange(_ place: inout Bool, _ value: Bool) -> Bool {
    defer { place = value }
    return place
}
