import Engine
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

/// Two documents whose `_id` become one key: the first in the order of `_id` has it, the others are dead letters.
@Suite(.serialized) struct SharedKeyTests {
    private static let uuid: [UInt8] = [0xAB, 0xCD, 0xEF] + [UInt8](repeating: 1, count: 13)
    private static let uuidText = "abcdef01-0101-0101-0101-010101010101"

    private static func settings(shards: Int = 1) throws -> ProductSyncSettings {
        let mapping = try SyncMapping(yaml: "columns:\n  title: title\n  n: n", file: "mapping.yaml")
        return ProductSyncSettings(orphanPolicy: .delete, deletePercentMax: 100, mapping: mapping, shards: shards)
    }

    private static func document(_ title: String, _ id: (inout BSONWriter) -> Void) -> [UInt8] {
        BSONWriter.document { writer in
            id(&writer)
            writer.append("title", string: title)
        }
    }

    static let ofText: [[UInt8]] = [
        document("first") { $0.append("_id", int64: 5) },
        document("second") { $0.append("_id", string: "5") },
        document("first") { $0.append("_id", string: ShopDocuments.hex(1)) },
        document("second") { $0.append("_id", objectID: ShopDocuments.id(1)) },
        document("first") { $0.append("_id", string: uuidText) },
        document("second") { $0.append("_id", binary: uuid, subtype: 4) },
    ]

    /// All in one stretch, so that all would be staged together.
    static let ofUUID: [[UInt8]] = [
        document("first") { $0.append("_id", string: uuidText.uppercased()) },
        document("second") { $0.append("_id", string: uuidText) },
        document("second") { $0.append("_id", binary: uuid, subtype: 4) },
    ]

    /// INV-5: a document is written, unchanged, or a dead letter; also the second of a key.
    @Test(arguments: [("text", ofText, 3), ("uuid", ofUUID, 1)])
    func theSecondDocumentOfAKeyIsADeadLetter(column: String, documents: [[UInt8]], keys: Int) async throws {
        let server = try MongoStandIn()
        try server.load("products", documents)
        let bench = try await SyncBench.make(
            table: "CREATE TABLE product (id \(column) PRIMARY KEY, title text, n int)",
            source: server.url
        )
        for (dryRun, inserted) in [(true, 0), (false, keys), (false, 0), (true, 0)] {
            let run = try await bench.run(bench.job(try Self.settings()), RunOptions(dryRun: dryRun, verify: true))
            #expect(run.state == .partial, "\(String(describing: run.error))")
            #expect(run.summary?["counts"]?["totalProductsInSource"]?.int == documents.count)
            #expect(run.summary?["counts"]?["insertedProducts"]?.int == inserted)
            #expect(run.summary?["counts"]?["updatedProducts"] == 0)
            #expect(run.summary?["counts"]?["orphanedProducts"] == 0)
            #expect(run.summary?["counts"]?["deadLetters"]?.int == documents.count - keys)
            let (missing, unchanged) = (
                run.summary?["counts"]?["missingProducts"]?.int, run.summary?["counts"]?["unchangedProducts"]?.int
            )
            #expect((missing ?? 0) + (unchanged ?? 0) == keys)
        }
        #expect(try await bench.number("SELECT count(*)::int FROM product WHERE title = 'first'") == keys)
        let letters = "SELECT count(*)::int FROM etl.dead_letters WHERE kind = 'duplicate-key' AND key LIKE '% _id %'"
        #expect(try await bench.number(letters) == documents.count - keys)
        await bench.close()
        server.stop()
    }

    /// The key is the next document's once the first is gone, and a first that is bad keeps it.
    @Test func theNextDocumentHasTheKeyWhenTheFirstIsGone() async throws {
        let server = try MongoStandIn()
        try server.load("products", Array(Self.ofText.prefix(4)))
        let bench = try await SyncBench.make(
            table: "CREATE TABLE product (id text PRIMARY KEY, title text, n int)",
            source: server.url
        )
        _ = try await bench.run(bench.job(try Self.settings()))
        server.remove(at: 0, from: "products")
        try server.replace(
            BSONWriter.document { writer in
                writer.append("_id", string: ShopDocuments.hex(1))
                writer.append("n", string: "no number")
            },
            in: "products"
        )
        let run = try await bench.run(bench.job(try Self.settings()), RunOptions(verify: true))
        #expect(run.state == .partial, "\(String(describing: run.error))")
        #expect(run.summary?["counts"]?["updatedProducts"] == 1)
        #expect(run.summary?["counts"]?["orphanedProducts"] == 0)
        #expect(run.summary?["counts"]?["deadLetters"] == 2)
        let titles = try await bench.sql("SELECT title FROM product ORDER BY id").rows.map { try $0[0].string() }
        #expect(titles == ["second", "first"])
        await bench.close()
        server.stop()
    }

    /// A letter whose document is gone, or the other document of its key, is open no more; one that is bad still stays.
    @Test(arguments: [1, 3]) func lettersOfWhatIsGoneAreClosed(shards: Int) async throws {
        let server = try MongoStandIn()
        let bad = [3, 7].map { number in
            BSONWriter.document { writer in
                writer.append("_id", string: ShopDocuments.hex(number))
                writer.append("n", string: "no number")
            }
        }
        let good = (10..<40).map { number in
            Self.document("first") { $0.append("_id", string: ShopDocuments.hex(number)) }
        }
        let twice = Self.document("second") { $0.append("_id", objectID: ShopDocuments.id(20)) }
        try server.load("products", bad + [twice] + good)
        let bench = try await SyncBench.make(
            table: "CREATE TABLE product (id text PRIMARY KEY, title text, n int)",
            source: server.url
        )
        let job = bench.job(try Self.settings(shards: shards))
        let letters =
            "SELECT string_agg(kind || ' ' || coalesce(resolution, 'open'), ', ' ORDER BY id) FROM etl.dead_letters"
        func kept() async throws -> String { try await bench.sql(letters).rows[0][0].string() }
        #expect(try await bench.run(job).state == .partial)
        let all = Set(try await kept().split(separator: ", "))
        #expect(all == ["wrong-type open", "duplicate-key open"])
        _ = try server.remove(
            BSONWriter.document { $0.append("_id", objectID: ShopDocuments.id(20)) },
            from: "products"
        )
        _ = try server.remove(BSONWriter.document { $0.append("_id", string: ShopDocuments.hex(7)) }, from: "products")
        _ = try await bench.run(job, RunOptions(dryRun: true))
        #expect(Set(try await kept().split(separator: ", ")) == all, "INV-10")
        let run = try await bench.run(job)
        #expect(run.state == .partial, "\(String(describing: run.error))")
        #expect(run.summary?["counts"]?["deadLetters"] == 1)
        #expect(
            try await kept().split(separator: ", ").sorted()
                == ["duplicate-key gone", "wrong-type gone", "wrong-type open"]
        )
        await bench.close()
        server.stop()
    }
}
