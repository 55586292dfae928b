import Engine
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

/// INV-5 and INV-8 where very much is bad: nothing vanishes, nothing is heaped up, and the run ends by name.
@Suite(.serialized) struct DeadLetterCeilingTests {
    private static let tooMany = DeadLetterSink.runMax + 1

    /// A dry run holds on to no more bad documents than a sync would record.
    @Test func tooManyRefusedDocumentsEndADryRunToo() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<Self.tooMany, size: 330)
        let bench = try await SyncBench.make(
            table: """
                CREATE TABLE product (id varchar PRIMARY KEY, title varchar(1), price numeric, image varchar,
                    "sellerId" varchar, quantity int)
                """,
            source: server.url
        )
        let dry = try await bench.run(bench.job(), RunOptions(dryRun: true))
        #expect(dry.state == .failed)
        #expect(dry.error?.kind == TallyError.Kind.tooManyDeadLetters.rawValue)
        server.remove(at: 0, from: "products")
        let within = try await bench.run(bench.job(), RunOptions(dryRun: true))
        #expect(within.summary?["counts"]?["deadLetters"]?.int == DeadLetterSink.runMax)
        await bench.close()
        server.stop()
    }

    private static func named(_ name: String) -> [UInt8] {
        BSONWriter.document { writer in
            writer.append("_id", string: name)
            writer.append("title", string: "no key")
        }
    }

    private static let keyed = """
        CREATE TABLE product (id uuid PRIMARY KEY, title varchar, price numeric, image varchar, "sellerId" varchar,
            quantity int)
        """

    @Test(arguments: [true, false])
    func tooManyDocumentsWithoutAKeyEndTheRun(dryRun: Bool) async throws {
        let server = try MongoStandIn()
        try server.load("products", (0..<Self.tooMany).map { Self.named("key-\(100_000 + $0)") })
        let bench = try await SyncBench.make(table: Self.keyed, source: server.url)
        let run = try await bench.run(bench.job(), RunOptions(dryRun: dryRun))
        #expect(run.state == .failed)
        #expect(run.error?.kind == TallyError.Kind.tooManyDeadLetters.rawValue)
        await bench.close()
        server.stop()
    }

    /// Two ids that begin alike are two letters.
    @Test func eachDocumentWithoutAKeyHasALetterOfItsOwn() async throws {
        let server = try MongoStandIn()
        let long = String(repeating: "x", count: 60)
        try server.load("products", ["1", "2", "3"].map { Self.named(long + $0) })
        let bench = try await SyncBench.make(table: Self.keyed, source: server.url)
        let run = try await bench.run(bench.job())
        #expect(run.state == .partial, "\(String(describing: run.error))")
        #expect(run.summary?["counts"]?["deadLetters"] == 3)
        #expect(try await bench.number("SELECT count(*)::int FROM etl.dead_letters") == 3)
        await bench.close()
        server.stop()
    }
}
