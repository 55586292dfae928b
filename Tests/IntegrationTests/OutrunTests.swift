import Engine
import Postgres
import ProductSync
import Runtime
import Synchronization
import TestKit
import Testing

/// A writer that changes both sides while a sync is under way: what it wrote is never replaced by what was read before.
@Suite(.serialized) struct OutrunTests {
    /// The row is no longer what was read, so it is left alone, and found to be what it should be.
    @Test func bothSidesThatMovedOnTogetherAreUnchanged() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<50)
        let bench = try await SyncBench.make(source: server.url)
        _ = try await bench.run(bench.job())
        try await bench.execute("UPDATE product SET title = 'stale' WHERE quantity IN (3, 4, 5)")
        let moved = Mutex(false)
        let failpoint = Failpoint { name in
            guard name == "write.afterFence", moved.withLock({ $0.turnOn() }) else { return }
            try server.replace(ShopDocuments.product(4, revision: 1), in: "products")
            try await bench.execute("UPDATE product SET title = 'Product 4 rev 1', price = 5.99 WHERE quantity = 4")
        }
        let run = try await bench.run(bench.job(), failpoint: failpoint)
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        for (name, count) in [
            ("staleProducts", 2), ("updatedProducts", 2), ("unchangedProducts", 48), ("changedMeanwhile", 0),
        ] {
            #expect(run.summary?["counts"]?[name]?.int == count, "\(name)")
        }
        #expect(try await bench.number("SELECT count(*)::int FROM product WHERE title = 'Product 4 rev 1'") == 1)
        await bench.close()
        server.stop()
    }

    /// The target's stream breaks and goes on with a later snapshot, while pages of the source still wait that were
    /// read before it.
    @Test func aPageOlderThanTheSnapshotReplacesNothing() async throws {
        let products = 12_000
        let server = try MongoStandIn()
        try server.loadProducts(0..<products)
        let bench = try await SyncBench.make(source: server.url)
        _ = try await bench.run(bench.job())
        let chunks = Mutex(0)
        let pages = Watched(0)
        let failpoint = Failpoint { name in
            if name == "source.pageRead" { pages.change { $0 += 1 } }
            guard name == "target.chunkRead", chunks.withLock({ $0.next() }) == 2 else { return }
            // More than the first chunk holds: a page beyond it has been read.
            try await pages.wait(until: { $0 >= 3 })
            for number in 0..<products {
                try server.replace(ShopDocuments.product(number, revision: 1), in: "products")
            }
            try await bench.execute("UPDATE product SET title = title || ' rev 1', price = price + 1")
            throw TallyError(.targetUnreachable, during: "test", "the stream is lost")
        }
        let run = try await bench.run(bench.job(), failpoint: failpoint)
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        #expect(chunks.withLock { $0 } > 2)
        #expect(run.summary?["counts"]?["updatedProducts"] == 0)
        #expect(try await bench.number("SELECT count(*)::int FROM product WHERE title LIKE '% rev 1'") == products)
        await bench.close()
        server.stop()
    }

    /// A document that was read behind the snapshot of its row is not read twice.
    @Test func staleRowsCostTheSourceNoLookup() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<500)
        let bench = try await SyncBench.make(source: server.url)
        _ = try await bench.run(bench.job())
        try await bench.execute("UPDATE product SET title = 'stale'")
        let before = server.statistics.value.commands["find", default: 0]
        let run = try await bench.run(bench.job())
        #expect(run.summary?["counts"]?["updatedProducts"] == 500)
        #expect(
            server.statistics.value.commands["find", default: 0] - before == 4,
            "both ends of the ids, the page, and the empty one behind it"
        )
        await bench.close()
        server.stop()
    }
}

extension Bool {
    /// Whether it was off until now.
    fileprivate mutating func turnOn() -> Bool {
        defer { self = true }
        return !self
    }
}

extension Int {
    fileprivate mutating func next() -> Int {
        self += 1
        return self
    }
}
