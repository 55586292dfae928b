import Engine
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

/// What becomes of rows that cannot simply be written: marked before, refused again, needed elsewhere, newer.
@Suite(.serialized) struct SettlingTests {
    private static let table = """
        CREATE TABLE product (id varchar PRIMARY KEY, title varchar CHECK (title <> 'refused'), price numeric,
            image varchar, "sellerId" varchar, quantity int)
        """

    private static func refused(_ number: Int) -> [UInt8] {
        BSONWriter.document { writer in
            writer.append("_id", objectID: ShopDocuments.id(number))
            writer.append("title", string: "refused")
        }
    }

    // MARK: Orphans

    /// Marks accumulate for ever; only new ones count towards the limit.
    @Test(arguments: [1, 3])
    func rowsMarkedBeforeAreSettled(shards: Int) async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<70)
        let bench = try await SyncBench.make(
            table: """
                CREATE TABLE product (id varchar PRIMARY KEY, title varchar, price numeric, image varchar,
                    "sellerId" varchar, quantity int, gone boolean NOT NULL DEFAULT false)
                """,
            source: server.url
        )
        let settings = ProductSyncSettings(orphanPolicy: .mark(column: "gone"), deletePercentMax: 5, shards: shards)
        _ = try await bench.run(bench.job(settings))
        try await bench.execute("INSERT INTO product (id, gone) SELECT 'old-' || n, true FROM generate_series(1, 30) n")
        server.remove(at: 4, from: "products")
        for dryRun in [true, false] {
            let run = try await bench.run(bench.job(settings), RunOptions(dryRun: dryRun))
            #expect(run.state == .succeeded, "\(String(describing: run.error))")
            #expect(run.summary?["counts"]?["orphanedProducts"] == 1)
            #expect(run.summary?["counts"]?["orphansMarkedBefore"] == 30)
            #expect(run.summary?["counts"]?["markedProducts"]?.int == (dryRun ? 0 : 1))
        }
        let next = try await bench.run(bench.job(settings))
        #expect(next.summary?["counts"]?["orphanedProducts"] == 0)
        #expect(next.summary?["counts"]?["orphansMarkedBefore"] == 31)
        await bench.close()
        server.stop()
    }

    /// A row that another table needs stays; the others go.
    @Test(arguments: [1, 2])
    func anOrphanThatCannotGoHoldsUpNoOther(shards: Int) async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<100)
        let bench = try await SyncBench.make(source: server.url)
        _ = try await bench.run(bench.job())
        try await bench.execute(
            """
            INSERT INTO product (id) SELECT 'zz-' || n FROM generate_series(1, 9) n;
            CREATE TABLE line (product varchar REFERENCES product); INSERT INTO line VALUES ('zz-4')
            """
        )
        let settings = ProductSyncSettings(orphanPolicy: .delete, deletePercentMax: 20, shards: shards)
        let run = try await bench.run(bench.job(settings), RunOptions(verify: true))
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        #expect(run.summary?["counts"]?["deletedProducts"] == 8)
        #expect(run.summary?["counts"]?["orphansKept"] == 1)
        #expect(run.summary?["counts"]?["changedMeanwhile"] == 0)
        let errors = run.summary?["details"]?["errors"]?.array?.compactMap(\.string) ?? []
        #expect(errors.count == 1 && errors[0].contains("line_product_fkey"), "\(errors)")
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 101)
        await bench.close()
        server.stop()
    }

    // MARK: Dead letters

    /// A stale row that is refused is a dead letter in every later run, dry or not, and holds up nobody.
    @Test func aRowRefusedBeforeIsNotStaleAgain() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<100)
        let bench = try await SyncBench.make(table: Self.table, source: server.url)
        _ = try await bench.run(bench.job())
        try server.replace(Self.refused(50), in: "products")
        let first = try await bench.run(bench.job())
        #expect(first.state == .partial)
        #expect(first.summary?["counts"]?["staleProducts"] == 1)
        try await bench.execute("UPDATE product SET quantity = -1 WHERE title <> 'Product 50'")
        let writes = Watched(0)
        let counting = Failpoint { name in
            if name == "write.afterFence" { writes.change { $0 += 1 } }
        }
        for dryRun in [true, false] {
            let run = try await bench.run(bench.job(), RunOptions(dryRun: dryRun), failpoint: counting)
            #expect(run.state == .partial, "\(String(describing: run.error))")
            #expect(run.summary?["counts"]?["staleProducts"] == 99)
            #expect(run.summary?["counts"]?["deadLetters"] == 1)
        }
        #expect(writes.value == 4, "99 rows, the known one, its letter, the last one that is durable; none was halved")
        try await bench.execute("ALTER TABLE product DROP CONSTRAINT product_title_check")
        let mended = try await bench.run(bench.job())
        #expect(mended.state == .succeeded, "\(String(describing: mended.error))")
        #expect(mended.summary?["counts"]?["staleProducts"] == 1)
        #expect(mended.summary?["counts"]?["updatedProducts"] == 1)
        #expect(try await bench.number("SELECT count(*)::int FROM etl.dead_letters WHERE resolved_at IS NULL") == 0)
        await bench.close()
        server.stop()
    }

    /// A limit of the server that one row meets is that row's trouble.
    @Test func aRowTooLargeForAnIndexIsADeadLetter() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<50)
        let bench = try await SyncBench.make(source: server.url)
        try await bench.execute("CREATE INDEX ON product (title)")
        var random = SeededGenerator(seed: 7)
        let title = (0..<20_000).map { _ in String(UInt8.random(in: 33...126, using: &random).character) }.joined()
        try server.replace(
            BSONWriter.document { writer in
                writer.append("_id", objectID: ShopDocuments.id(20))
                writer.append("title", string: title)
            },
            in: "products"
        )
        let run = try await bench.run(bench.job())
        #expect(run.state == .partial, "\(String(describing: run.error))")
        #expect(run.summary?["counts"]?["syncedProducts"] == 49)
        #expect(try await bench.number("SELECT count(*)::int FROM etl.dead_letters WHERE kind = '54000'") == 1)
        await bench.close()
        server.stop()
    }

    /// INV-1: who was replaced records no letter either.
    @Test func aReplacedRunRecordsNoLetters() async throws {
        let server = try MongoStandIn()
        try server.load("products", [Self.refused(1)])
        let bench = try await SyncBench.make(
            table: """
                CREATE TABLE product (id varchar PRIMARY KEY, title varchar(3), price numeric, image varchar,
                    "sellerId" varchar, quantity int)
                """,
            source: server.url
        )
        let failpoint = Failpoint { name in
            if name == "compare.found" { try await bench.execute("UPDATE etl.fences SET fence = fence + 1") }
        }
        let run = try await bench.run(bench.job(), failpoint: failpoint)
        #expect(run.state != .succeeded && run.state != .partial)
        #expect(try await bench.number("SELECT count(*)::int FROM etl.dead_letters") == 0)
        await bench.close()
        server.stop()
    }

    /// A session that is lost while the run only reads its open letters costs a second try, not the run.
    @Test func lettersAreReadAgainWhenTheirSessionIsLost() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<20)
        let bench = try await SyncBench.make(source: server.url)
        let blocker = try await PGConnection.connect(bench.cart.settings)
        try await blocker.begin()
        try await blocker.execute("LOCK TABLE etl.dead_letters")
        let waiting = "FROM pg_locks WHERE NOT granted AND relation = 'etl.dead_letters'::regclass"
        let run = try await withThrowingTaskGroup(of: RunRecord.self) { group in
            group.addTask { try await bench.run(bench.job()) }
            defer { group.cancelAll() }
            try await Eventually.holds("the run waits for its letters") {
                try await bench.number("SELECT count(*)::int \(waiting)") > 0
            }
            _ = try await bench.sql("SELECT pg_terminate_backend(pid, 5000) \(waiting)")
            try await blocker.commit()
            return try #require(try await group.next())
        }
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        #expect(run.summary?["retries"]?.int ?? 0 > 0)
        #expect(run.summary?["counts"]?["syncedProducts"] == 20)
        await blocker.close()
        await bench.close()
        server.stop()
    }

    // MARK: Versions

    /// INV-9 where the mapping names a version: newer rows stay, also those that become newer meanwhile; a document
    /// without a version is older than every row that has one.
    @Test func aVersionDecidesWhoIsNewer() async throws {
        let server = try MongoStandIn()
        let documents: [Int32?] = [5, 5, 5, nil, nil, 5, 5]
        try server.load(
            "products",
            documents.enumerated().map { number, version in
                BSONWriter.document { writer in
                    writer.append("_id", objectID: ShopDocuments.id(number))
                    writer.append("title", string: "shop")
                    if let version { writer.append("v", int32: version) }
                }
            }
        )
        let bench = try await SyncBench.make(
            table: "CREATE TABLE product (id varchar PRIMARY KEY, title varchar, v int)",
            source: server.url
        )
        for (number, version) in ["9", "5", "3", "9", "NULL", "NULL", "3"].enumerated() {
            let row = "('\(ShopDocuments.hex(number))', 'cart', \(version))"
            try await bench.execute("INSERT INTO product VALUES \(row)")
        }
        let failpoint = Failpoint { name in
            guard name == "write.afterFence" else { return }
            try await bench.execute("UPDATE product SET v = 9 WHERE id = '\(ShopDocuments.hex(6))'")
        }
        let mapping = SyncMapping(
            columns: [.init(name: "title", path: ["title"]), .init(name: "v", path: ["v"])],
            version: "v"
        )
        let job = bench.job(ProductSyncSettings(mapping: mapping))
        let run = try await bench.run(job, failpoint: failpoint)
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        for (name, expected) in [
            ("newerInTarget", 2), ("staleProducts", 5), ("updatedProducts", 4), ("changedMeanwhile", 1),
        ] {
            #expect(run.summary?["counts"]?[name]?.int == expected, "\(name)")
        }
        let titles = try await bench.sql("SELECT title FROM product ORDER BY id").rows.map { try $0[0].string() }
        #expect(titles == ["cart", "shop", "shop", "cart", "shop", "shop", "cart"])
        let again = try await bench.run(job, RunOptions(dryRun: true))
        #expect(again.summary?["counts"]?["staleProducts"] == 0, "nothing is stale for ever")
        #expect(again.summary?["counts"]?["newerInTarget"] == 3)
        await bench.close()
        server.stop()
    }

    /// Both sides of the wire mean the same by "newer": text by its bytes, numbers by their value, NaN above them all.
    @Test(arguments: [
        (#"text COLLATE "und-x-icu""#, "'B'", "'a'"), (#"varchar(9) COLLATE "und-x-icu""#, "'a'", "'é'"),
        ("char(9)", "'B'", "'a'"), ("real", "-2", "-1.5"), ("float8", "1", "'NaN'"), ("numeric", "1", "'NaN'"),
        ("bigint", "-1", "1"), ("timestamptz", "'1999-01-01'", "'2001-01-01'"),
    ])
    func newerIsTheSameForUsAndTheServer(type: String, older: String, newer: String) async throws {
        let server = try MongoStandIn()
        let table = "CREATE TABLE product (id varchar PRIMARY KEY, title varchar, v \(type))"
        let bench = try await SyncBench.make(table: table, source: server.url)
        let value: (inout BSONWriter, String) -> Void = { writer, literal in
            let text = literal.trimmed
            if type == "timestamptz" {
                writer.append("v", date: text == "1999-01-01" ? 915_148_800_000 : 978_307_200_000)
            } else if let number = Double(text) {
                writer.append("v", double: number)
            } else {
                writer.append("v", string: text)
            }
        }
        // One row is older than its document, one is newer.
        for (number, version) in [newer, older].enumerated() {
            try server.insert(
                BSONWriter.document { writer in
                    writer.append("_id", objectID: ShopDocuments.id(number))
                    writer.append("title", string: "shop")
                    value(&writer, version)
                },
                into: "products"
            )
            let theirs = number == 0 ? older : newer
            try await bench.execute("INSERT INTO product VALUES ('\(ShopDocuments.hex(number))', 'cart', \(theirs))")
        }
        let mapping = SyncMapping(
            columns: [.init(name: "title", path: ["title"]), .init(name: "v", path: ["v"])],
            version: "v"
        )
        let run = try await bench.run(bench.job(ProductSyncSettings(mapping: mapping)))
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        for (name, expected) in [("newerInTarget", 1), ("updatedProducts", 1), ("changedMeanwhile", 0)] {
            #expect(run.summary?["counts"]?[name]?.int == expected, "\(name)")
        }
        let titles = try await bench.sql("SELECT title FROM product ORDER BY id").rows.map { try $0[0].string() }
        #expect(titles == ["shop", "cart"])
        await bench.close()
        server.stop()
    }
}

extension UInt8 {
    fileprivate var character: Character { Character(UnicodeScalar(self)) }
}

extension String {
    fileprivate var trimmed: String { filter { $0 != "'" } }
}
