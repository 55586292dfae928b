import Engine
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

/// Keys that no shop has until one has them: each costs itself at most, never the run.
@Suite(.serialized) struct OddKeyTests {
    private static func settings(_ orphans: OrphanPolicy = .report, shards: Int = 1) throws -> ProductSyncSettings {
        let mapping = try SyncMapping(yaml: "columns:\n  title: title", file: "mapping.yaml")
        return ProductSyncSettings(orphanPolicy: orphans, mapping: mapping, shards: shards)
    }

    private static func strings(_ ids: [String]) -> [[UInt8]] {
        ids.enumerated().map { number, id in
            BSONWriter.document { writer in
                writer.append("_id", string: id)
                writer.append("title", string: "t\(number)")
            }
        }
    }

    private static let icu = "CREATE TABLE product (id text COLLATE \"und-x-icu\" PRIMARY KEY, title text UNIQUE)"
    private static let byBytes = "CREATE TABLE product (id text COLLATE \"C\" PRIMARY KEY, title text)"

    /// Looked up and streamed behind, such keys stand in SQL as literals.
    @Test func aKeyThatLooksLikeSQLIsAKey() async throws {
        let ids = ["a'\u{301}b", "\u{600}'; DROP TABLE product; --", "\\'\u{301}", "E'\\", "\"\u{20DD}", "z"]
        let server = try MongoStandIn()
        try server.load("products", Self.strings(ids))
        let bench = try await SyncBench.make(table: Self.icu, source: server.url)
        let first = try await bench.run(bench.job(try Self.settings()))
        #expect(first.state == .succeeded, "\(String(describing: first.error))")
        #expect(first.summary?["counts"]?["syncedProducts"]?.int == ids.count)
        try await bench.execute("UPDATE product SET title = title || ' by hand'")
        let second = try await bench.run(bench.job(try Self.settings(.delete)), RunOptions(verify: true))
        #expect(second.state == .succeeded, "\(String(describing: second.error))")
        #expect(second.summary?["counts"]?["staleProducts"]?.int == ids.count)
        #expect(try await bench.number("SELECT count(*)::int FROM product WHERE title LIKE '% by hand'") == 0)
        await bench.close()
        server.stop()
    }

    /// A key too long for the key's index is too long for the index of the dead letters as well.
    @Test func aKeyTooLongForAnIndexIsADeadLetter() async throws {
        var random = SeededGenerator(seed: 1)
        let long = String((0..<6_000).map { _ in "0123456789abcdef".randomElement(using: &random) ?? "-" })
        let server = try MongoStandIn()
        try server.load("products", Self.strings(["a", "b", "c" + long, "d" + long, "e", "f"]))
        let bench = try await SyncBench.make(table: Self.byBytes, source: server.url)
        for occurrences in 1...2 {
            let run = try await bench.run(bench.job(try Self.settings()))
            #expect(run.state == .partial, "\(String(describing: run.error))")
            #expect(run.summary?["counts"]?["deadLetters"] == 2)
            #expect(try await bench.number("SELECT count(*)::int FROM product") == 4)
            let letters = try await bench.number("SELECT count(*)::int FROM etl.dead_letters WHERE resolved_at IS NULL")
            #expect(letters == 2, "run \(occurrences)")
        }
        server.removeAll(from: "products")
        try server.load("products", Self.strings(["a", "b", "e", "f"]))
        #expect(try await bench.run(bench.job(try Self.settings())).state == .succeeded)
        await bench.close()
        server.stop()
    }

    /// A row that two unique indexes refuse is found by staging; a domain's NOT NULL has nothing to say there.
    @Test func aDomainThatIsNotNullRefusesNoRowOfAStage() async throws {
        let server = try MongoStandIn()
        var documents = Self.strings((0..<50).map { "id-\($0)" })
        documents += [
            BSONWriter.document { writer in
                writer.append("_id", string: "twin")
                writer.append("title", string: "t7")
            }
        ]
        try server.load("products", documents)
        let bench = try await SyncBench.make(
            table: "CREATE DOMAIN label AS text NOT NULL; "
                + "CREATE TABLE product (id text COLLATE \"C\" PRIMARY KEY, title label UNIQUE)",
            source: server.url
        )
        let run = try await bench.run(bench.job(try Self.settings()))
        #expect(run.state == .partial, "\(String(describing: run.error))")
        #expect(run.summary?["counts"]?["deadLetters"] == 1, "\(run.summary?.text ?? "")")
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 50)
        await bench.close()
        server.stop()
    }

    struct Odd: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let type: UInt8
        let raw: [UInt8]
    }

    static let odd: [Odd] = [
        Odd(testDescription: "code", type: 0x0D, raw: BSONWriter.text("x")),
        Odd(
            testDescription: "code with scope",
            type: 0x0F,
            raw: BSONWriter.little(UInt32(4 + 6 + 5)) + BSONWriter.text("x") + [5, 0, 0, 0, 0]
        ),
        Odd(testDescription: "DBPointer", type: 0x0C, raw: BSONWriter.text("n") + [UInt8](repeating: 7, count: 12)),
        Odd(testDescription: "timestamp", type: 0x11, raw: [UInt8](repeating: 1, count: 8)),
        Odd(testDescription: "minKey", type: 0xFF, raw: []), Odd(testDescription: "maxKey", type: 0x7F, raw: []),
    ]

    /// One `_id` of a type that sorts far behind or before the others hides none of them.
    @Test(arguments: odd)
    func anIDOfAnOddTypeHidesNoOther(_ odd: Odd) async throws {
        let server = try MongoStandIn()
        let plain = (0..<700).map { ShopDocuments.product($0) }
        let extra = BSONWriter.document { writer in
            writer.append("_id", type: odd.type, raw: odd.raw)
            writer.append("title", string: "odd")
        }
        try server.load("products", plain + [extra] + Self.strings(["first", "second"]))
        let bench = try await SyncBench.make(source: server.url)
        let run = try await bench.run(bench.job())
        #expect(run.state == .partial, "\(String(describing: run.error)) \(run.summary?.text ?? "")")
        #expect(run.summary?["counts"]?["totalProductsInSource"] == 703, "\(run.summary?.text ?? "")")
        #expect(run.summary?["counts"]?["deadLetters"] == 1)
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 702)
        await bench.close()
        server.stop()
    }

    /// A server's answer that names no `_id` is no end of the collection.
    @Test(arguments: [0, 1, 2, 3])
    func anAnswerWithoutAnIDIsNotTheEnd(skip: Int) async throws {
        let server = try MongoStandIn()
        try server.load("products", (0..<2_000).map { ShopDocuments.product($0) })
        let bench = try await SyncBench.make(source: server.url)
        let answer = BSONWriter.document { writer in
            writer.append(
                "cursor",
                document: { cursor in
                    cursor.append("id", int64: 0)
                    cursor.append("ns", string: "shop.products")
                    let list = BSONWriter.document { list in
                        list.append("0", document: { $0.append("title", string: "nobody") })
                    }
                    cursor.append("firstBatch", type: 0x04, raw: list)
                }
            )
            writer.append("ok", double: 1)
        }
        server.script(StandInFault(.answer(answer), on: ["find"], skip: skip, times: .max))
        let run = try await bench.run(bench.job())
        #expect(run.state == .failed)
        #expect(run.error?.kind == "protocol-violation", "\(String(describing: run.error))")
        await bench.close()
        server.stop()
    }

    struct Nobody: Sendable, CustomTestStringConvertible {
        let column: String
        let keys: String
        let merges: Bool
        var testDescription: String { column }
    }

    static let nobody: [Nobody] = [
        Nobody(column: "bigint", keys: "(-5), (-1), (0), (3), (70000)", merges: true),
        Nobody(column: "smallint", keys: "(-5), (-1), (0), (3), (7)", merges: true),
        Nobody(column: "text COLLATE \"en-x-icu\"", keys: "('a'), ('B'), ('c'), ('D'), ('é')", merges: false),
        Nobody(column: "text COLLATE \"C\"", keys: "('a'), ('B'), ('c'), ('D'), ('é')", merges: true),
        Nobody(column: "char(9) COLLATE \"C\"", keys: "('a'), (E'a\\x01'), ('c'), ('D'), ('é')", merges: false),
        Nobody(
            column: "uuid",
            keys: "(gen_random_uuid()), (gen_random_uuid()), (gen_random_uuid()), (gen_random_uuid()), "
                + "(gen_random_uuid())",
            merges: true
        ),
    ]

    /// Rows of a table whose source is empty are orphans, in whatever order its keys come.
    @Test(arguments: nobody)
    func anEmptySourceMakesOrphans(_ one: Nobody) async throws {
        let server = try MongoStandIn()
        try server.load("products", [])
        let bench = try await SyncBench.make(
            table: "CREATE TABLE product (id \(one.column) PRIMARY KEY, title text); "
                + "INSERT INTO product (id) VALUES \(one.keys)",
            source: server.url
        )
        let dry = try await bench.run(bench.job(try Self.settings(.delete)), RunOptions(dryRun: true))
        #expect(dry.summary?["counts"]?["orphanedProducts"] == 5, "\(String(describing: dry.error))")
        #expect(dry.summary?["details"]?["compare"]?.string == (one.merges ? "merge" : "lookup"))
        let run = try await bench.run(bench.job(try Self.settings(.delete)))
        #expect(run.error?.kind == "change-implausible", "\(String(describing: run.error))")
        await bench.close()
        server.stop()
    }

    struct Nullable: Sendable, CustomTestStringConvertible {
        let column: String
        let write: @Sendable (inout BSONWriter, Int) -> Void
        var testDescription: String { column }
    }

    static let nullable: [Nullable] = [
        Nullable(column: "bigint") { $0.append("_id", int64: Int64($1) - 100) },
        Nullable(column: "text COLLATE \"C\"") { $0.append("_id", string: "k\($1)") },
        Nullable(column: "text") { $0.append("_id", objectID: ShopDocuments.id($1)) },
        Nullable(column: "text COLLATE \"und-x-icu\"") { $0.append("_id", string: "k\($1)") },
    ]

    /// A unique key may be NULL in any number of rows, which come behind all others.
    @Test(arguments: nullable)
    func rowsWithoutAKeyAreOrphans(_ one: Nullable) async throws {
        let server = try MongoStandIn()
        try server.load(
            "products",
            (0..<300).map { number in
                BSONWriter.document { writer in
                    one.write(&writer, number)
                    writer.append("title", string: "t\(number)")
                }
            }
        )
        let bench = try await SyncBench.make(
            table: "CREATE TABLE product (id \(one.column) UNIQUE, title text); "
                + "INSERT INTO product (title) VALUES ('x'), ('y'), (NULL)",
            source: server.url
        )
        for synced in [300, 0] {
            let run = try await bench.run(bench.job(try Self.settings()))
            #expect(run.state == .succeeded, "\(String(describing: run.error))")
            #expect(run.summary?["counts"]?["syncedProducts"]?.int == synced)
            #expect(run.summary?["counts"]?["orphanedProducts"] == 3)
        }
        let cut = try await bench.run(bench.job(try Self.settings(shards: 3)))
        #expect(cut.state == .succeeded, "\(String(describing: cut.error))")
        #expect(cut.summary?["counts"]?["orphanedProducts"] == 3)
        #expect(cut.summary?["details"]?["finalCount"]?["drift"] == 0)
        await bench.close()
        server.stop()
    }

    /// A lookup of a thousand keys must not read the table.
    @Test(arguments: ["varchar", "text", "char(24)", "smallint", "int", "bigint", "uuid"])
    func lookupsUseTheIndexOfTheKey(column: String) async throws {
        let bench = try await SyncBench.make(table: "CREATE TABLE product (id \(column) PRIMARY KEY, title text)")
        let keys =
            column.hasSuffix("int") ? "1, 2" : column == "uuid" ? "'00000000-0000-0000-0000-000000000001'" : "'a', 'b'"
        let mapping = try Self.settings().mapping
        let plan = try await bench.cart.withConnection { connection in
            let table = try #require(try await PGCatalog.table(connection, schema: nil, name: "product"))
            let key = try ColumnPlan(mapping: mapping, table: table).key
            try await connection.execute("SET enable_seqscan = off")
            let lines = try await connection.query(
                "EXPLAIN SELECT * FROM product WHERE id = ANY (ARRAY[\(keys)]::\(key.arrayTypeSQL))"
            ).rows
            return try lines.map { try $0[0].string() }.joined(separator: "\n")
        }
        #expect(plan.contains("Index Cond"), "\(plan)")
        await bench.close()
    }
}
