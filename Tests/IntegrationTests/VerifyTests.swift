import Engine
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

/// The second compare (`--verify`) and the one after a lost connection: what they look at, key by key.
@Suite(.serialized) struct VerifyTests {
    /// A row that was left alone may differ; another in its place may not.
    @Test(arguments: [true, false])
    func onlyTheRowThatWasLeftAloneIsExcused(another: Bool) async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<50)
        let bench = try await SyncBench.make(source: server.url)
        _ = try await bench.run(bench.job())
        let (left, other) = (ShopDocuments.hex(0), ShopDocuments.hex(7))
        try await bench.execute("UPDATE product SET price = 1 WHERE id IN ('\(left)', '\(ShopDocuments.hex(3))')")
        let failpoint = Failpoint { name in
            if name == "write.afterFence" {
                try await bench.execute("UPDATE product SET quantity = 4711 WHERE id = '\(left)' AND price = 1")
            }
            if name == "sync.verify", another {
                try await bench.execute(
                    """
                    UPDATE product SET price = 0.99, quantity = 0 WHERE id = '\(left)';
                    UPDATE product SET price = 1 WHERE id = '\(other)'
                    """
                )
            }
        }
        let run = try await bench.run(bench.job(), RunOptions(verify: true), failpoint: failpoint)
        #expect(run.state == (another ? .failed : .succeeded), "\(String(describing: run.error))")
        #expect(run.error?.kind == (another ? TallyError.Kind.proofFailed.rawValue : nil))
        if !another { #expect(run.summary?["counts"]?["changedMeanwhile"] == 1) }
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
