import Engine
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

/// Writes that the target takes without a word and does not carry out (INV-11).
@Suite(.serialized) struct SwallowedWriteTests {
    private static func swallow(_ event: String, where condition: String = "OLD.quantity = 7") -> String {
        """
        CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF \(condition) THEN RETURN NULL; END IF; RETURN \(event == "DELETE" ? "OLD" : "NEW"); END $$;
        CREATE TRIGGER swallow BEFORE \(event) ON product FOR EACH ROW EXECUTE FUNCTION swallow()
        """
    }

    private static let table = """
        CREATE TABLE product (id varchar PRIMARY KEY, title varchar, price numeric, image varchar, "sellerId" varchar,
            quantity int, gone boolean NOT NULL DEFAULT false)
        """

    private func expectProofFailed(_ run: RunRecord) {
        #expect(run.state == .failed)
        #expect(run.error?.kind == TallyError.Kind.proofFailed.rawValue, "\(String(describing: run.error))")
        #expect(run.error?.summary.contains("confirmed") == true, "\(String(describing: run.error))")
    }

    /// The row is what it was compared with, so nothing excuses that it was not updated; its stretch is rolled back.
    @Test func anUpdateThatATriggerSwallowsFailsTheRun() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<20)
        let bench = try await SyncBench.make(source: server.url)
        _ = try await bench.run(bench.job())
        try await bench.execute("UPDATE product SET title = 'stale' WHERE quantity < 10")
        try await bench.execute(Self.swallow("UPDATE"))
        expectProofFailed(try await bench.run(bench.job()))
        #expect(try await bench.number("SELECT count(*)::int FROM product WHERE title = 'stale'") == 10)
        await bench.close()
        server.stop()
    }

    @Test(arguments: [OrphanPolicy.delete, .mark(column: "gone")])
    func aRemovalThatATriggerSwallowsFailsTheRun(policy: OrphanPolicy) async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<20)
        let bench = try await SyncBench.make(table: Self.table, source: server.url)
        let settings = ProductSyncSettings(orphanPolicy: policy, deletePercentMax: 100)
        _ = try await bench.run(bench.job(settings))
        for _ in 6..<9 { server.remove(at: 6, from: "products") }
        try await bench.execute(Self.swallow(policy == .delete ? "DELETE" : "UPDATE"))
        expectProofFailed(try await bench.run(bench.job(settings)))
        #expect(try await bench.number("SELECT count(*)::int FROM product WHERE NOT gone") == 20)
        await bench.close()
        server.stop()
    }

    /// The way that rows take when one of them turns out to be there.
    @Test func anInsertThatATriggerSwallowsFailsTheRun() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<20)
        let bench = try await SyncBench.make(source: server.url)
        try await bench.execute(Self.swallow("INSERT", where: "NEW.quantity = 7"))
        let failpoint = Failpoint { name in
            guard name == "write.afterFence" else { return }
            try await bench.execute(
                "INSERT INTO product (id) VALUES ('\(ShopDocuments.hex(2))') ON CONFLICT DO NOTHING"
            )
        }
        expectProofFailed(try await bench.run(bench.job(), failpoint: failpoint))
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 1)
        await bench.close()
        server.stop()
    }

    /// Who changed the row is excused, and a document that is bad by then is a dead letter.
    @Test(arguments: [true, false])
    func aDocumentThatTurnedBadMeanwhileIsADeadLetter(isMissing: Bool) async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<20)
        let bench = try await SyncBench.make(source: server.url)
        let id = ShopDocuments.hex(4)
        if !isMissing {
            _ = try await bench.run(bench.job())
            try await bench.execute("UPDATE product SET title = 'stale' WHERE id = '\(id)'")
        }
        let failpoint = Failpoint { name in
            guard name == "write.afterFence" else { return }
            try server.replace(
                BSONWriter.document { writer in
                    writer.append("_id", objectID: ShopDocuments.id(4))
                    writer.append("price", string: "much")
                },
                in: "products"
            )
            try await bench.execute(
                "INSERT INTO product (id) VALUES ('\(id)') ON CONFLICT (id) DO UPDATE SET title = 'new'"
            )
        }
        let run = try await bench.run(bench.job(), failpoint: failpoint)
        #expect(run.state == .partial, "\(String(describing: run.error))")
        for (name, count) in [
            ("missingProducts", isMissing ? 19 : 0), ("staleProducts", 0), ("changedMeanwhile", 0), ("deadLetters", 1),
        ] {
            #expect(run.summary?["counts"]?[name]?.int == count, "\(name)")
        }
        #expect(try await bench.number("SELECT count(*)::int FROM etl.dead_letters WHERE key = '\(id)'") == 1)
        await bench.close()
        server.stop()
    }
}
