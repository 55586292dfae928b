import Engine
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

/// What a real replica set does in the middle of a read costs a page, not the run.
@Suite(.serialized) struct SourceFaultTests {
    private static let count = 6_000

    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let fault: @Sendable () -> StandInFault
        var testDescription: String { name }

        init(_ name: String, _ fault: @autoclosure @escaping @Sendable () -> StandInFault) {
            self.name = name
            self.fault = fault
        }
    }

    static let transient: [Case] = [
        Case("cursor not found", StandInFault(.cursorNotFound, on: ["find"], skip: 3)),
        Case("step-down", StandInFault(.notWritablePrimary, on: ["find"], skip: 3, times: 3)),
        Case("shutdown in progress", StandInFault(.shutdownInProgress, on: ["find"], skip: 4, times: 2)),
        Case("interrupted at shutdown", StandInFault(.interruptedAtShutdown, on: ["find"], skip: 3, times: 2)),
        Case("dropped before the answer", StandInFault(.dropBefore, on: ["find"], skip: 3, times: 3)),
        Case("dropped after the work", StandInFault(.dropAfter, on: ["find"], skip: 3, times: 3)),
        Case("reset", StandInFault(.reset, on: ["find"], skip: 4, times: 3)),
        Case("half an answer", StandInFault(.truncate(0.5), on: ["find"], skip: 4, times: 3)),
        Case("an answer cut by one byte", StandInFault(.truncate(0.999_999), on: ["find"], skip: 3, times: 2)),
        Case("slow batch", StandInFault(.delay(.milliseconds(300)), on: ["find"], skip: 3, times: 2)),
        Case("half-open socket", StandInFault(.neverAnswer, on: ["find"], skip: 3, times: 1)),
        Case("edges fail", StandInFault(.notWritablePrimary, on: ["find"], times: 2)),
    ]

    @Test(arguments: transient)
    func costsAPage(_ one: Case) async throws {
        let server = try MongoStandIn(replicaSet: "rs0")
        try server.loadProducts(0..<Self.count)
        let source = "\(server.url)?replicaSet=rs0&socketTimeoutMS=700&serverSelectionTimeoutMS=4000"
        let bench = try await SyncBench.make(source: source)
        server.script(one.fault())
        let run = try await bench.run(bench.job(), RunOptions(verify: true))
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        #expect(run.summary?["counts"]?["syncedProducts"]?.int == Self.count)
        #expect(server.statistics.value.faults > 0, "the fault happened")
        #expect(try await bench.number("SELECT count(*)::int FROM product") == Self.count)
        await bench.close()
        server.stop()
    }

    @Test func whatIsNotTransientStopsTheRun() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<2_000)
        let bench = try await SyncBench.make(source: server.url)
        server.script(StandInFault(.unauthorized, on: ["find"], skip: 3, times: .max))
        let run = try await bench.run(bench.job())
        #expect(run.state == .failed)
        #expect(run.error?.kind == "permission-denied" || run.error?.kind == "credentials-rejected")
        server.clearFaults()
        #expect(try await bench.run(bench.job()).state == .succeeded, "and the next goes on")
        await bench.close()
        server.stop()
    }

    /// Documents come and go between pages: nothing is doubled, nobody is a false orphan, the next run settles it.
    @Test func documentsThatComeAndGoBetweenPages() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<3_000)
        let bench = try await SyncBench.make(source: server.url)
        _ = try await bench.run(bench.job())
        server.script(
            StandInFault(
                .run { server in
                    // Behind the page being read, in it, and ahead of it.
                    try server.insert(ShopDocuments.product(50_000), into: "products")
                    try server.replace(ShopDocuments.product(1, revision: 2), in: "products")
                    try server.replace(ShopDocuments.product(2_900, revision: 2), in: "products")
                    server.remove(at: 0, from: "products")
                    server.remove(at: 2_500, from: "products")
                },
                on: ["find"],
                skip: 4
            )
        )
        let settings = ProductSyncSettings(orphanPolicy: .delete)
        let during = try await bench.run(bench.job(settings))
        #expect(during.state == .succeeded, "\(String(describing: during.error))")
        let after = try await bench.run(bench.job(settings), RunOptions(verify: true))
        #expect(after.state == .succeeded, "\(String(describing: after.error))")
        let ids = try await bench.sql("SELECT id FROM product ORDER BY id").rows.map { try $0[0].string() }
        let expected = (1..<3_000).filter { $0 != 2_501 }.map { ShopDocuments.hex($0) } + [ShopDocuments.hex(50_000)]
        #expect(ids == expected.sorted())
        await bench.close()
        server.stop()
    }

    /// INV-6: a server that suddenly shows an empty collection, or a tiny part of it, deletes nothing.
    @Test(arguments: [0, 40])
    func aShortReadEmptiesNothing(left: Int) async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<1_000)
        let bench = try await SyncBench.make(source: server.url)
        _ = try await bench.run(bench.job())
        server.removeAll(from: "products")
        try server.loadProducts(0..<left)
        let run = try await bench.run(bench.job(ProductSyncSettings(orphanPolicy: .delete)))
        #expect(run.state == .failed)
        #expect(run.error?.kind == "change-implausible")
        #expect(try await bench.number("SELECT count(*)::int FROM product") == 1_000)
        await bench.close()
        server.stop()
    }

    /// After a kill a real server's estimate was seen at 0 with everything there: it must decide nothing.
    @Test func aWrongEstimateDecidesNothing() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<1_000)
        let bench = try await SyncBench.make(source: server.url)
        let none = BSONWriter.document {
            $0.append("n", int32: 0)
            $0.append("ok", double: 1)
        }
        server.script(StandInFault(.answer(none), on: ["count"], times: .max))
        let run = try await bench.run(bench.job(ProductSyncSettings(orphanPolicy: .delete)))
        #expect(run.summary?["counts"]?["syncedProducts"] == 1_000)
        let again = try await bench.run(bench.job(ProductSyncSettings(orphanPolicy: .delete)))
        #expect(again.summary?["counts"]?["unchangedProducts"] == 1_000)
        await bench.close()
        server.stop()
    }

    @Test func theServerRestartsInTheMiddle() async throws {
        let server = try MongoStandIn(replicaSet: "rs0")
        try server.loadProducts(0..<Self.count)
        let bench = try await SyncBench.make(source: "\(server.url)?replicaSet=rs0&serverSelectionTimeoutMS=5000")
        server.script(
            StandInFault(
                .run { server in
                    server.stop()
                    try server.restart()
                },
                on: ["find"],
                skip: 4
            )
        )
        let run = try await bench.run(bench.job(), RunOptions(verify: true))
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        #expect(try await bench.number("SELECT count(*)::int FROM product") == Self.count)
        await bench.close()
        server.stop()
    }
}
