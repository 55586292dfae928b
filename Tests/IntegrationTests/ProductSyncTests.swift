import Engine
import Mongo
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

@Suite struct ProductSyncIntegrationTests {
    @Test func syncThenCompareIsEmptyThenSyncWritesNothing() async throws {
        let bench = try await SyncBench.make()
        try await bench.load(3_000)
        let dry = try await bench.run(bench.job(), RunOptions(dryRun: true))
        #expect(dry.state == .succeeded)
        #expect(dry.summary?["counts"]?["missingProducts"] == 3_000)
        #expect(dry.summary?["counts"]?["syncedProducts"] == 0)
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 0)

        let first = try await bench.run(bench.job())
        #expect(first.state == .succeeded, "\(String(describing: first.error))")
        #expect(first.summary?["counts"]?["missingProducts"] == 3_000)
        #expect(first.summary?["counts"]?["syncedProducts"] == 3_000)
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 3_000)

        let before = try await bench.fingerprint()
        let second = try await bench.run(bench.job(), RunOptions(verify: true))
        #expect(second.state == .succeeded)
        #expect(second.summary?["counts"]?["unchangedProducts"] == 3_000)
        #expect(second.summary?["counts"]?["syncedProducts"] == 0)
        #expect(second.summary?["proof"] == "full-compare")
        #expect(try await bench.fingerprint() == before, "an unchanged sync touches no row")
        await bench.close()
    }

    @Test func missingStaleAndOrphanedAreFoundAndRepaired() async throws {
        let bench = try await SyncBench.make()
        try await bench.load(500)
        _ = try await bench.run(bench.job())
        try await bench.execute(
            """
            DELETE FROM product WHERE id IN (SELECT id FROM product ORDER BY id LIMIT 7);
            UPDATE product SET price = price + 1, title = 'x'
                WHERE id IN (SELECT id FROM product ORDER BY id DESC LIMIT 5);
            INSERT INTO product (id, title) VALUES
                ('ffffffffffffffffffffffff', 'gone'), ('not-an-id', 'odd'), ('Zed', 'z')
            """
        )
        let before = try await bench.fingerprint()
        let dry = try await bench.run(bench.job(), RunOptions(dryRun: true))
        #expect(try await bench.fingerprint() == before, "INV-10: a dry run leaves ctid and xmin of every row")
        let run = try await bench.run(bench.job())
        for record in [dry, run] {
            #expect(record.summary?["counts"]?["missingProducts"] == 7)
            #expect(record.summary?["counts"]?["staleProducts"] == 5)
            #expect(record.summary?["counts"]?["orphanedProducts"] == 3)
            #expect(record.summary?["counts"]?["unchangedProducts"] == 488)
        }
        #expect(run.summary?["counts"]?["syncedProducts"] == 12)
        let stale = run.summary?["details"]?["staleProducts"]?.array?.first
        #expect(stale?["columns"] == ["title", "price"])
        let after = try await bench.run(bench.job(), RunOptions(dryRun: true))
        #expect(after.summary?["counts"]?["unchangedProducts"] == 500)
        #expect(after.summary?["counts"]?["orphanedProducts"] == 3)
        await bench.close()
    }

    @Test func writerThatSkipsEverySeventhRowFailsTheRun() async throws {
        let bench = try await SyncBench.make()
        try await bench.load(100)
        let run = try await bench.run(bench.job(fault: { $0 % 7 == 6 }))
        #expect(run.state == .failed)
        #expect(run.error?.kind == TallyError.Kind.proofFailed.rawValue)
        #expect(
            try await bench.number("SELECT count(*)::int FROM product") == 0,
            "INV-11: what is not proved is rolled back"
        )
        await bench.close()
    }

    @Test func badRowsBecomeDeadLettersAndTheRestIsWritten() async throws {
        let bench = try await SyncBench.make(
            table: """
                CREATE TABLE product (id varchar PRIMARY KEY,
                    title varchar(40) CHECK (title <> 'refused'), price numeric,
                    image varchar, "sellerId" varchar, quantity int)
                """
        )
        try await bench.load(300)
        for (index, title) in [(120, String(repeating: "x", count: 41)), (121, "refused")] {
            try await bench.replace(index, with: ProductDocuments.product(index, title: title))
        }
        let run = try await bench.run(bench.job(ProductSyncSettings(batchSize: 50)))
        #expect(run.state == .partial, "\(String(describing: run.error))")
        #expect(run.summary?["counts"]?["deadLetters"] == 2)
        #expect(run.summary?["counts"]?["syncedProducts"] == 298)
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 298)
        #expect(try await bench.number("SELECT count(*)::int FROM etl.dead_letters") == 2)
        let dry = try await bench.run(bench.job(), RunOptions(dryRun: true))
        #expect(dry.summary?["counts"]?["missingProducts"] == 0, "a dead letter is not missing for ever")
        #expect(dry.summary?["counts"]?["deadLetters"] == 2)
        await bench.close()
    }

    @Test func orphansAreDeletedOnlyWithinTheLimit() async throws {
        let bench = try await SyncBench.make()
        try await bench.load(100)
        _ = try await bench.run(bench.job())
        try await bench.execute("INSERT INTO product (id) SELECT 'orphan-' || n FROM generate_series(1, 20) n")
        let refused = try await bench.run(bench.job(ProductSyncSettings(orphanPolicy: .delete)))
        #expect(refused.state == .failed)
        #expect(refused.error?.kind == TallyError.Kind.changeImplausible.rawValue)
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 120, "INV-6: nothing was removed")
        let allowed = try await bench.run(bench.job(ProductSyncSettings(orphanPolicy: .delete, deletePercentMax: 20)))
        #expect(allowed.state == .succeeded)
        #expect(allowed.summary?["counts"]?["deletedProducts"] == 20)
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 100)
        try await bench.removeAll()
        let empty = try await bench.run(bench.job(ProductSyncSettings(orphanPolicy: .delete, deletePercentMax: 100)))
        #expect(empty.state == .failed, "an empty source never empties the target")
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 100)
        await bench.close()
    }

    @Test func aMarkedOrphanThatReturnsIsUnmarked() async throws {
        let bench = try await SyncBench.make(
            table: """
                CREATE TABLE product (id varchar PRIMARY KEY, title varchar, price numeric, image varchar,
                    "sellerId" varchar, quantity int, gone boolean NOT NULL DEFAULT false)
                """
        )
        try await bench.load(100)
        let settings = ProductSyncSettings(orphanPolicy: .mark(column: "gone"))
        _ = try await bench.run(bench.job(settings))
        try await bench.remove(4)
        let marked = try await bench.run(bench.job(settings))
        #expect(marked.summary?["counts"]?["markedProducts"] == 1)
        let again = try await bench.run(bench.job(settings))
        #expect(again.summary?["counts"]?["markedProducts"] == 0)
        try await bench.insert([ProductDocuments.product(4)])
        let back = try await bench.run(bench.job(settings))
        #expect(back.summary?["counts"]?["staleProducts"] == 1)
        #expect(try await bench.number("SELECT count(*)::int FROM product WHERE gone") == 0)
        await bench.close()
    }

    @Test func aRowChangedInTheCartMeanwhileIsLeftAlone() async throws {
        let bench = try await SyncBench.make()
        try await bench.load(50)
        _ = try await bench.run(bench.job())
        try await bench.execute("UPDATE product SET price = 1 WHERE id IN (SELECT id FROM product ORDER BY id LIMIT 3)")
        let failpoint = Failpoint { name in
            guard name == "write.afterFence" else { return }
            try await bench.execute(
                "UPDATE product SET quantity = 4711 WHERE id IN (SELECT id FROM product ORDER BY id LIMIT 1)"
            )
        }
        let run = try await bench.run(bench.job(), failpoint: failpoint)
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        #expect(run.summary?["counts"]?["changedMeanwhile"] == 1)
        #expect(run.summary?["counts"]?["updatedProducts"] == 2)
        #expect(try await bench.number("SELECT count(*)::int FROM product WHERE quantity = 4711") == 1)
        await bench.close()
    }
}
