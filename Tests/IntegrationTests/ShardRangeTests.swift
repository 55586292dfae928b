import Engine
import Logging
import Mongo
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

/// The cut on real servers: keys of every type, documents and rows that nobody sampled, servers without `$sample`.
@Suite(.serialized) struct ShardRangeTests {
    private static func settings(shards: Int = 1, orphans: OrphanPolicy = .report) throws -> ProductSyncSettings {
        let mapping = try SyncMapping(yaml: "columns:\n  title: title\n", file: "mapping.yaml")
        return ProductSyncSettings(
            orphanPolicy: orphans,
            deletePercentMax: 100,
            mapping: mapping,
            shards: shards
        )
    }

    private static func context() -> RunContext {
        RunContext(
            runID: RunID(),
            job: "product_sync",
            options: RunOptions(dryRun: true),
            fence: nil,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            progress: Progress(),
            deadLetters: DeadLetterSink(job: "product_sync", runID: RunID(), pool: nil)
        )
    }

    private static func cutter(_ bench: SyncBench, _ plan: ColumnPlan) -> SyncCut {
        let context = context()
        return SyncCut(
            source: SourceReader(pool: bench.mongo, plan: plan, context: context),
            sampler: SourceSampler(pool: bench.mongo, collection: plan.collection, context: context),
            target: bench.cart,
            plan: plan,
            orphans: .report,
            context: context
        )
    }

    /// The ranges of a cut, and how it was made.
    private static func cut(_ bench: SyncBench, into count: Int) async throws -> (ColumnPlan, [SyncRange], JSONValue) {
        let plan = try await ProductSyncJob.plan(try settings(), cart: bench.cart)
        let made = try await cutter(bench, plan).make(count)
        let pairing = try #require(SyncRange.Pairing(rawValue: made.facts["pairing"]?.string ?? ""))
        return (plan, try made.shards.map { try SyncRange($0, pairing: pairing) }, made.facts)
    }

    private actor Read {
        var count = 0
        func add(_ more: Int) { count += more }
    }

    /// How many documents and rows each range holds, as the servers count; what is read in pages must be as many.
    private static func counts(
        _ bench: SyncBench,
        _ plan: ColumnPlan,
        _ ranges: [SyncRange],
        countsRanges: Bool = true
    ) async throws -> (source: [Int], target: [Int]) {
        var source: [Int] = []
        var target: [Int] = []
        let context = context()
        for range in ranges {
            let reader = SourceReader(pool: bench.mongo, plan: plan, context: context, range: range.source)
            source.append(try await reader.countByReading())
            // nx-27017 counts no range of ids.
            if countsRanges { #expect(try await reader.count() == source.last) }
            let pages = Read()
            try await reader.readPages(try await reader.brackets()) { await pages.add($0.documents) }
            #expect(await pages.count == source.last)
            let rows = TargetReader(pool: bench.cart, plan: plan, context: context, range: range.target)
            target.append(try await rows.count())
            let streamed = Read()
            try await rows.stream { await streamed.add($0.rows.rowStarts.count) }
            #expect(await streamed.count == target.last)
        }
        return (source, target)
    }

    private static func mixed(_ number: Int) -> [UInt8] {
        BSONWriter.document { writer in
            switch number % 9 {
            case 0: writer.append("_id", objectID: ShopDocuments.id(number))
            case 1: writer.append("_id", string: "key-\(number)")
            case 2: writer.append("_id", int32: Int32(number))
            case 3: writer.append("_id", int64: Int64(number) + 5_000_000_000)
            case 4: writer.append("_id", double: Double(number) + 0.5)
            case 5: writer.append("_id", binary: ShopDocuments.id(number) + [1, 2, 3, 4], subtype: 4)
            case 6: writer.append("_id", date: Int64(number) * 1_000)
            case 7: writer.append("_id", document: BSONWriter.document { $0.append("n", int32: Int32(number)) })
            default: writer.append("_id", double: -Double(number))
            }
            writer.append("title", string: "t\(number)")
        }
    }

    private static var oddities: [[UInt8]] {
        [
            BSONWriter.document { $0.append("_id", double: .nan) },
            BSONWriter.document { $0.append("_id", double: -.infinity) },
            BSONWriter.document { $0.append("_id", bool: true) },
            BSONWriter.document { $0.append("_id", type: 0x0A, raw: []) },
            BSONWriter.document { $0.append("_id", type: 0xFF, raw: []) },
            BSONWriter.document { $0.append("_id", type: 0x7F, raw: []) },
        ]
    }

    /// Documents that come after the cut, of types it never saw, are in exactly one range all the same.
    @Test(arguments: [1, 2, 5, 16])
    func everyDocumentAndEveryRowIsInExactlyOneRange(shards: Int) async throws {
        let server = try MongoStandIn()
        try server.load("products", (0..<900).map(Self.mixed) + Self.oddities)
        let bench = try await SyncBench.make(
            table: "CREATE TABLE product (id text COLLATE \"und-x-icu\" UNIQUE, title text)",
            source: server.url
        )
        try await bench.execute(
            "INSERT INTO product SELECT 'row-' || n FROM generate_series(1, 700) n; INSERT INTO product VALUES (NULL)"
        )
        let (plan, ranges, facts) = try await Self.cut(bench, into: shards)
        #expect(facts["pairing"] == "independent")
        #expect(facts["sampledBy"] == "sample")
        try server.load("products", (900..<1_100).map(Self.mixed))
        try await bench.execute("INSERT INTO product VALUES (''), ('ÿ'), ('Ä'), ('zzzz'), ('ROW-5')")
        let counts = try await Self.counts(bench, plan, ranges)
        #expect(counts.source.reduce(0, +) == 1_106, "\(counts.source)")
        #expect(counts.target.reduce(0, +) == 706, "\(counts.target)")
        await bench.close()
        server.stop()
    }

    @Test func keysThatSortAlikeAreCutAtTheSamePlaces() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<4_000)
        let bench = try await SyncBench.make(source: server.url)
        try await bench.execute("INSERT INTO product (id) VALUES ('not an id'), ('ffffffffffffffffffffffff'), ('0')")
        let (plan, ranges, facts) = try await Self.cut(bench, into: 8)
        #expect(facts["pairing"] == "aligned")
        let counts = try await Self.counts(bench, plan, ranges)
        #expect(counts.source.reduce(0, +) == 4_000)
        #expect(counts.source.allSatisfy { (300...700).contains($0) }, "about equal: \(counts.source)")
        #expect(counts.target.reduce(0, +) == 3, "\(counts.target)")
        guard case .between(nil, _?) = ranges[0].source, case .between(_?, nil) = ranges[7].source else {
            Issue.record("the first and the last range are open")
            return
        }
        await bench.close()
        server.stop()
    }

    /// What a server needs longer for than a socket waits.
    @Test func aServerThatDoesNotCountIsReadInstead() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<700)
        let bench = try await SyncBench.make(source: server.url)
        let plan = try await ProductSyncJob.plan(try Self.settings(), cart: bench.cart)
        let slow = StandInFault.Action.fail(code: 50, name: "MaxTimeMSExpired", labels: [])
        server.script(StandInFault(slow, on: ["aggregate", "count"], times: 100))
        let reader = SourceReader(pool: bench.mongo, plan: plan, context: Self.context())
        #expect(try await reader.count() == 700)
        await bench.close()
        server.stop()
    }

    /// A partitioned table has no statistics of its own until somebody analyses it by name.
    @Test(arguments: [true, false])
    func rowsOfPartitionsAreKnown(isAnalysed: Bool) async throws {
        let server = try MongoStandIn()
        let bench = try await SyncBench.make(
            table: "CREATE TABLE product (id varchar PRIMARY KEY, title varchar) PARTITION BY HASH (id)",
            source: server.url
        )
        try await bench.execute(
            """
            CREATE TABLE one PARTITION OF product FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE two PARTITION OF product FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            INSERT INTO product SELECT 'key-' || n, repeat('x', 60) FROM generate_series(1, 20000) n
            """
        )
        if isAnalysed { try await bench.execute("ANALYZE one; ANALYZE two") }
        let plan = try await ProductSyncJob.plan(try Self.settings(), cart: bench.cart)
        let known = try await Self.cutter(bench, plan).rowsKnown()
        #expect((10_000...40_000).contains(known), "\(known)")
        await bench.close()
        server.stop()
    }

    @Test func aServerWithoutSamplesIsReadInstead() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<30_000, size: 340)
        let unknown = StandInFault.Action.fail(code: 40_324, name: "Location40324", labels: [])
        server.script(StandInFault(unknown, on: ["aggregate"], times: 1))
        let bench = try await SyncBench.make(source: server.url)
        let (plan, ranges, facts) = try await Self.cut(bench, into: 4)
        #expect(facts["sampledBy"] == "walk")
        let counts = try await Self.counts(bench, plan, ranges)
        #expect(counts.source.reduce(0, +) == 30_000)
        #expect(counts.source.allSatisfy { (7_400...7_600).contains($0) }, "the walk is exact: \(counts.source)")
        await bench.close()
        server.stop()
    }

    /// The server nobody here wrote: cut, synced in shards, equal to a sync without.
    @Test func aServerNobodyHereWroteIsCutToo() async throws {
        let bench = try await SyncBench.make()
        try await bench.load(1_500)
        let (plan, ranges, _) = try await Self.cut(bench, into: 5)
        let counts = try await Self.counts(bench, plan, ranges, countsRanges: false)
        #expect(counts.source.reduce(0, +) == 1_500, "\(counts.source)")
        #expect(counts.source.allSatisfy { $0 < 1_000 }, "it is cut: \(counts.source)")
        let run = try await bench.run(bench.job(ProductSyncSettings(shards: 5)))
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        #expect(run.summary?["counts"]?["syncedProducts"] == 1_500)
        let dry = try await bench.run(bench.job(), RunOptions(dryRun: true))
        #expect(dry.summary?["counts"]?["unchangedProducts"] == 1_500)
        await bench.close()
    }
}
