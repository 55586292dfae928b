import Engine
import ProductSync
import Runtime
import TestKit
import Testing

/// `_id` of every type, alone and mixed: compared in key order or by looking up, always completely.
@Suite(.serialized) struct KeyTypeTests {
    private static let mapping = """
        columns:
          title: title
        """

    private static func settings(_ orphans: OrphanPolicy = .report, percent: Int = 5) throws -> ProductSyncSettings {
        ProductSyncSettings(
            orphanPolicy: orphans,
            deletePercentMax: percent,
            mapping: try SyncMapping(yaml: mapping, file: "mapping.yaml")
        )
    }

    struct Keys: Sendable, CustomTestStringConvertible {
        let name: String
        let column: String
        let merged: Bool
        let count: Int
        /// Writes the `_id` of a number.
        let write: @Sendable (inout BSONWriter, Int) -> Void
        /// A row that no document has.
        let orphan: String
        var testDescription: String { name }
    }

    private static func uuid(_ number: Int) -> [UInt8] {
        // Scattered, so that the order of numbers is not that of keys.
        var generator = SeededGenerator(seed: UInt64(number))
        return (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    private static func uuidText(_ number: Int) -> String {
        let digits = uuid(number).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
        return [0..<4, 4..<6, 6..<8, 8..<10, 10..<16].map { digits[$0].joined() }.joined(separator: "-")
    }

    private static func mixed(_ writer: inout BSONWriter, _ number: Int) {
        switch number % 5 {
        case 0: writer.append("_id", objectID: ShopDocuments.id(number))
        case 1: writer.append("_id", string: "key-\(number)")
        case 2: writer.append("_id", int32: Int32(number))
        case 3: writer.append("_id", int64: Int64(number) + 5_000_000_000)
        default: writer.append("_id", binary: uuid(number), subtype: 4)
        }
    }

    static let kinds: [Keys] = [
        Keys(
            name: "ObjectId in varchar",
            column: "varchar",
            merged: true,
            count: 2_000,
            write: { $0.append("_id", objectID: ShopDocuments.id($1)) },
            orphan: "'zzz'"
        ),
        Keys(
            name: "ObjectId in char(24)",
            column: "char(24)",
            merged: true,
            count: 2_000,
            write: { $0.append("_id", objectID: ShopDocuments.id($1)) },
            orphan: "'zzz'"
        ),
        Keys(
            name: "UUID in uuid",
            column: "uuid",
            merged: true,
            count: 2_000,
            write: { $0.append("_id", binary: uuid($1), subtype: 4) },
            orphan: "'ffffffff-0000-0000-0000-000000000001'"
        ),
        Keys(
            name: "string in upper case in uuid",
            column: "uuid",
            merged: false,
            count: 2_000,
            write: { $0.append("_id", string: uuidText($1).uppercased()) },
            orphan: "'ffffffff-0000-0000-0000-000000000001'"
        ),
        Keys(
            name: "UUID in text",
            column: "text",
            merged: true,
            count: 2_000,
            write: { $0.append("_id", binary: uuid($1), subtype: 4) },
            orphan: "'not one'"
        ),
        Keys(
            name: "int32, int64 and double in bigint",
            column: "bigint",
            merged: true,
            count: 2_000,
            write: { writer, number in
                switch number % 3 {
                case 0: writer.append("_id", int32: Int32(number) - 1_000)
                case 1: writer.append("_id", int64: Int64(number) - 1_000)
                default: writer.append("_id", double: Double(number) - 1_000)
                }
            },
            orphan: "-99999"
        ),
        Keys(
            name: "string in text collated C",
            column: "text COLLATE \"C\"",
            merged: true,
            count: 2_000,
            write: { $0.append("_id", string: "Ä\($1 % 7)-\($1)") },
            orphan: "'zzz'"
        ),
        Keys(
            name: "string in text of the database's collation",
            column: "text COLLATE \"und-x-icu\"",
            merged: false,
            count: 2_000,
            write: { $0.append("_id", string: "\($1 % 2 == 0 ? "a" : "B")-\($1)") },
            orphan: "'zzz'"
        ),
        Keys(
            name: "all mixed in text",
            column: "text",
            merged: false,
            count: 2_500,
            write: { mixed(&$0, $1) },
            orphan: "'zzz'"
        ),
    ]

    private static func document(_ keys: Keys, _ number: Int, title: String) -> [UInt8] {
        BSONWriter.document { writer in
            keys.write(&writer, number)
            writer.append("title", string: title)
        }
    }

    @Test(arguments: kinds)
    func comparesCompletely(_ keys: Keys) async throws {
        let server = try MongoStandIn()
        try server.load("products", (0..<keys.count).map { Self.document(keys, $0, title: "t\($0)") })
        let bench = try await SyncBench.make(
            table: "CREATE TABLE product (id \(keys.column) PRIMARY KEY, title text)",
            source: server.url
        )
        let first = try await bench.run(bench.job(try Self.settings()))
        #expect(first.state == .succeeded, "\(String(describing: first.error))")
        #expect(first.summary?["counts"]?["syncedProducts"]?.int == keys.count)
        #expect(first.summary?["details"]?["compare"]?.string == (keys.merged ? "merge" : "lookup"))
        try await bench.execute(
            """
            DELETE FROM product WHERE title IN ('t3', 't4', 't1999');
            UPDATE product SET title = 'x' WHERE title IN ('t10', 't11', 't12', 't13', 't14');
            INSERT INTO product VALUES (\(keys.orphan), 'orphan')
            """
        )
        let dry = try await bench.run(bench.job(try Self.settings()), RunOptions(dryRun: true))
        let run = try await bench.run(bench.job(try Self.settings(.delete)), RunOptions(verify: true))
        for record in [dry, run] {
            #expect(record.state == .succeeded, "\(String(describing: record.error))")
            #expect(record.summary?["counts"]?["missingProducts"] == 3)
            #expect(record.summary?["counts"]?["staleProducts"] == 5)
            #expect(record.summary?["counts"]?["orphanedProducts"] == 1)
            #expect(record.summary?["counts"]?["unchangedProducts"]?.int == keys.count - 8)
        }
        #expect(run.summary?["counts"]?["deletedProducts"] == 1)
        let last = try await bench.run(bench.job(try Self.settings()), RunOptions(dryRun: true))
        #expect(last.summary?["counts"]?["unchangedProducts"]?.int == keys.count)
        #expect(last.summary?["counts"]?["orphanedProducts"] == 0)
        await bench.close()
        server.stop()
    }

    /// Keys that cannot become the column's type are dead letters with their `_id`, the rest is written.
    @Test func aKeyThatDoesNotFitIsADeadLetter() async throws {
        let server = try MongoStandIn()
        try server.load(
            "products",
            [
                BSONWriter.document { $0.append("_id", int32: 1) },
                BSONWriter.document { $0.append("_id", double: 1.5) },
                BSONWriter.document { $0.append("_id", string: "abc") },
                BSONWriter.document { $0.append("_id", bool: true) },
            ]
        )
        let bench = try await SyncBench.make(
            table: "CREATE TABLE product (id int PRIMARY KEY, title text)",
            source: server.url
        )
        let run = try await bench.run(bench.job(try Self.settings()))
        #expect(run.state == .partial, "\(String(describing: run.error))")
        #expect(run.summary?["counts"]?["syncedProducts"] == 1)
        #expect(run.summary?["counts"]?["deadLetters"] == 3)
        #expect(try await bench.number("SELECT count(*)::int FROM etl.dead_letters WHERE resolved_at IS NULL") == 3)
        await bench.close()
        server.stop()
    }

    /// A row is never orphaned for the way its document's `_id` is written: what a lookup would not ask for is refused.
    @Test(arguments: [
        ("uuid", ["AAAAAAAA-0000-4000-8000-00000000000B"], "AAAAAAAA-0000-4000-8000-00000000000b"),
        ("char(8)", ["ab", "a b", "x\u{600}"], "ab cd "),
    ])
    func aSpellingThatIsNotLookedForIsADeadLetter(column: String, good: [String], bad: String) async throws {
        let server = try MongoStandIn()
        try server.load("products", (good + [bad]).map { id in BSONWriter.document { $0.append("_id", string: id) } })
        let bench = try await SyncBench.make(
            table: "CREATE TABLE product (id \(column) PRIMARY KEY, title text)",
            source: server.url
        )
        let settings = try Self.settings(.delete, percent: 100)
        for inserted in [good.count, 0] {
            let run = try await bench.run(bench.job(settings))
            #expect(run.state == .partial, "\(String(describing: run.error))")
            #expect(run.summary?["counts"]?["insertedProducts"]?.int == inserted)
            #expect(run.summary?["counts"]?["unchangedProducts"]?.int == good.count - inserted)
            #expect(run.summary?["counts"]?["orphanedProducts"] == 0)
            #expect(run.summary?["counts"]?["deadLetters"] == 1)
        }
        #expect(try await bench.number("SELECT count(*)::int FROM product") == good.count)
        #expect(try await bench.number("SELECT count(*)::int FROM etl.dead_letters WHERE kind = 'key-type'") == 1)
        await bench.close()
        server.stop()
    }
}
