import Engine
import Foundation
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

/// A batch that fails for its data costs little, and dead letters go away by themselves once their record is well.
@Suite struct BisectionTests {
    private static let rows = 1_024
    private static let table = """
        CREATE TABLE product (id varchar PRIMARY KEY, title varchar CHECK (title <> 'refused'), price numeric,
            image varchar, "sellerId" varchar, quantity int)
        """

    /// Writing transactions of one run.
    private static func transactions(_ bench: SyncBench, _ settings: ProductSyncSettings) async throws
        -> (count: Int, run: RunRecord)
    {
        let count = Watched(0)
        let failpoint = Failpoint { name in
            if name == "write.afterFence" { count.change { $0 += 1 } }
        }
        let run = try await bench.run(bench.job(settings), failpoint: failpoint)
        return (count.value, run)
    }

    /// One bad row among n costs at most 2·log2 n transactions more than none.
    @Test(arguments: [0, 1, 511, 512, 700, 1_023])
    func oneBadRowCostsAFewTransactions(place: Int) async throws {
        let bench = try await SyncBench.make(table: Self.table)
        try await bench.load(Self.rows)
        let settings = ProductSyncSettings(batchSize: 100)
        let good = try await Self.transactions(bench, settings)
        #expect(good.run.state == .succeeded)
        try await bench.execute("TRUNCATE product")
        try await bench.replace(place, with: ProductDocuments.product(place, title: "refused"))
        let bad = try await Self.transactions(bench, settings)
        #expect(bad.run.state == .partial, "\(String(describing: bad.run.error))")
        #expect(bad.run.summary?["counts"]?["syncedProducts"] == .int(Self.rows - 1))
        let extra = bad.count - good.count
        print("measured extra transactions for one bad row of \(Self.rows) at \(place) = \(extra)")
        #expect(extra <= 2 * 10 + 1, "log2 of 1024 is 10, and one keeps the letter")
        #expect(extra > 0)
        await bench.close()
    }

    /// The same for rows that are there and stale: a batch of a hundred.
    @Test func oneBadUpdateCostsAFewTransactions() async throws {
        let bench = try await SyncBench.make(table: Self.table)
        try await bench.load(100)
        _ = try await bench.run(bench.job())
        try await bench.execute("UPDATE product SET quantity = -1")
        let settings = ProductSyncSettings(batchSize: 128)
        let good = try await Self.transactions(bench, settings)
        try await bench.execute("UPDATE product SET quantity = -1")
        try await bench.replace(63, with: ProductDocuments.product(63, title: "refused"))
        let bad = try await Self.transactions(bench, settings)
        #expect(bad.run.summary?["counts"]?["deadLetters"] == 1)
        #expect(bad.run.summary?["counts"]?["updatedProducts"] == 99)
        #expect((1...15).contains(bad.count - good.count), "2·⌈log2 100⌉ is 14, and one keeps the letter")
        await bench.close()
    }

    /// A second unique index refuses: the staged way is taken once, not at every halving.
    @Test func aSecondUniqueIndexCostsNoMore() async throws {
        let bench = try await SyncBench.make(table: Self.table)
        try await bench.load(Self.rows)
        let good = try await Self.transactions(bench, ProductSyncSettings())
        try await bench.execute("TRUNCATE product; CREATE UNIQUE INDEX ON product (title)")
        try await bench.replace(800, with: ProductDocuments.product(800, title: "Product 3 – naïve ☕"))
        let bad = try await Self.transactions(bench, ProductSyncSettings())
        #expect(bad.run.summary?["counts"]?["deadLetters"] == 1)
        #expect(try await bench.number("SELECT count(*)::int FROM product") == Self.rows - 1)
        #expect(bad.count - good.count <= 2 * 10 + 2, "and once to find that the plain way does not do, and the letter")
        await bench.close()
    }

    @Test func aLetterIsTriedAgainAndResolvedOnceItsRecordIsWell() async throws {
        let bench = try await SyncBench.make(table: Self.table)
        try await bench.load(200)
        try await bench.replace(50, with: ProductDocuments.product(50, title: "refused"))
        #expect(try await bench.run(bench.job()).state == .partial)
        let open = "SELECT count(*)::int FROM etl.dead_letters WHERE resolved_at IS NULL"
        #expect(try await bench.number(open) == 1)
        // Nothing has changed: the same letter, seen once more.
        #expect(try await bench.run(bench.job()).state == .partial)
        #expect(try await bench.number(open) == 1)
        #expect(try await bench.number("SELECT max(occurrences)::int FROM etl.dead_letters") == 2)
        // The operator mends the target and asks for another try.
        try await bench.execute("ALTER TABLE product DROP CONSTRAINT product_title_check")
        let store = DeadLetterStore([("cart", bench.cart)])
        #expect(try await store.retry(id: nil, job: "product_sync") == 1)
        let mended = try await bench.run(bench.job())
        #expect(mended.state == .succeeded, "\(String(describing: mended.error))")
        #expect(try await bench.number(open) == 0)
        #expect(try await bench.number("SELECT count(*)::int FROM etl.dead_letters WHERE resolution = 'synced'") == 1)
        // The same when the document is mended instead.
        try await bench.execute("ALTER TABLE product ADD CHECK (title <> 'worse')")
        try await bench.replace(60, with: ProductDocuments.product(60, title: "worse"))
        #expect(try await bench.run(bench.job()).state == .partial)
        try await bench.replace(60, with: ProductDocuments.product(60))
        #expect(try await bench.run(bench.job()).state == .succeeded)
        #expect(try await bench.number(open) == 0)
        await bench.close()
    }
}
