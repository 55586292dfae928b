import Foundation
import TestKit
import Testing

/// Databases that go away under a sync and come back: the run goes on, or the next one does; nothing is lost.
@Suite(.serialized) struct OutageTests {
    private static let products = 20_000

    /// What is away is the database that every run needs: the metrics tell of it all the same, from the first look on.
    @Test func theMetricsTellOfAStateDatabaseThatIsAway() async throws {
        let replicas = try await Replicas.make(products: 0)
        guard let port = URL(string: replicas.cart)?.port else { throw TestServiceMissing("the URL has no port") }
        let proxy = try TCPProxy(to: port)
        let daemon = try await replicas.daemon(through: proxy.port)
        func metrics(hold lines: [String]) async throws -> Bool {
            let page = try await daemon.send("GET", "/metrics").text
            return lines.allSatisfy { page.contains("\n\($0)") }
        }
        try await Eventually.holds("all is well") {
            try await metrics(hold: ["etl_dependency_up{dependency=\"postgresql\"} 1", "etl_scheduler_leader 1"])
        }
        proxy.refuse(true)
        proxy.cut()
        try await Eventually.holds("the metrics tell", within: .seconds(60)) {
            try await metrics(hold: [
                "etl_dependency_up{dependency=\"postgresql\"} 0", "etl_dependency_up{dependency=\"leases\"} 0",
                "etl_dependency_up{dependency=\"productMongodb\"} 1", "etl_scheduler_leader 0",
            ])
        }
        let second = try await replicas.daemon(through: proxy.port)
        let page = try await second.send("GET", "/metrics").text
        #expect(page.contains("\netl_scheduler_leader 0"), "a replica that never led says so")
        #expect(page.contains("\netl_history_read_timestamp_seconds 0"), "and that it has read nothing")
        for one in [daemon, second] { one.signal(SIGKILL) }
        replicas.source.stop()
        proxy.close()
    }

    private struct Bench {
        let source: MongoStandIn
        let postgres: RestartablePostgres
        let mongoProxy: TCPProxy
        let cartProxy: TCPProxy

        var settings: [String: String] {
            [
                "PRODUCT_SERVICE_MONGODB_URL":
                    "mongodb://127.0.0.1:\(mongoProxy.port)/product?serverSelectionTimeoutMS=8000&socketTimeoutMS=3000",
                "CART_DB_URL": "postgresql://postgres@127.0.0.1:\(cartProxy.port)/postgres",
                "LOG_LEVEL": "warning",
            ]
        }

        init() throws {
            source = try MongoStandIn()
            try source.loadProducts(0..<products)
            postgres = try RestartablePostgres()
            mongoProxy = try TCPProxy(to: source.port)
            cartProxy = try TCPProxy(to: postgres.port)
            try psql(CrashShop.table)
            let ended = try TallymanBinary.run(["migrate", "up"], settings)
            guard ended.exit == .code(0) else { throw TestServiceMissing(ended.errorText) }
        }

        @discardableResult
        func psql(_ sql: String) throws -> String { try TestPostgres(adminURL: postgres.url).psql(postgres.url, sql) }

        /// Lets `disturb` happen once that many bytes have passed, then expects the sync, or a second one, to prove
        /// that all is there.
        func survives(
            _ proxy: TCPProxy,
            after bytes: Int,
            mayFail: Bool = false,
            _ disturb: () throws -> Void
        ) async throws {
            let before = proxy.passed.value.bytes
            let child = try TallymanBinary.start(["sync", "--json"], settings)
            try await proxy.passed.wait(within: .seconds(60)) { $0.bytes - before >= bytes }
            try disturb()
            let exit = try await child.wait(within: .seconds(90))
            if !mayFail { #expect(exit == .code(0), "\(child.progress.value.outputText)") }
            let held = try psql("SELECT count(*) FROM product")
            if exit == .code(0) { #expect(held == "\(products)\n", "success means that all is there") }
            let next = try TallymanBinary.run(["sync", "--verify", "--json"], settings)
            #expect(next.exit == .code(0), "\(next.outputText) \(next.errorText)")
            #expect(try psql("SELECT count(*), count(DISTINCT id) FROM product") == "\(products)|\(products)\n")
            source.stop()
        }
    }

    @Test(arguments: [30_000, 800_000])
    func theCartCrashesAndComesBack(after bytes: Int) async throws {
        let bench = try Bench()
        try await bench.survives(bench.cartProxy, after: bytes) { try bench.postgres.crashAndRestart() }
    }

    @Test(arguments: [20_000, 500_000, 1_500_000])
    func theCartsConnectionsAreCut(after bytes: Int) async throws {
        let bench = try Bench()
        try await bench.survives(bench.cartProxy, after: bytes) { bench.cartProxy.cut() }
    }

    @Test(arguments: [20_000, 1_000_000])
    func theSourcesConnectionsAreCut(after bytes: Int) async throws {
        let bench = try Bench()
        try await bench.survives(bench.mongoProxy, after: bytes) { bench.mongoProxy.cut() }
    }

    @Test func theSourceStopsAndComesBack() async throws {
        let bench = try Bench()
        try await bench.survives(bench.mongoProxy, after: 600_000) {
            bench.source.stop()
            try bench.source.restart()
        }
    }

    /// A network that swallows everything without a word: noticed, never waited for without end.
    @Test func theSourceFallsSilent() async throws {
        let bench = try Bench()
        try await bench.survives(bench.mongoProxy, after: 600_000, mayFail: true) {
            bench.mongoProxy.stall(true)
            // What was swallowed stays swallowed; new connections pass.
            bench.mongoProxy.cut()
            bench.mongoProxy.stall(false)
        }
    }

    /// Somebody else writes into the cart all the while: their rows are never undone by an older document.
    @Test func aWriterInTheCartIsNotUndone() async throws {
        let bench = try Bench()
        try await bench.survives(bench.cartProxy, after: 20_000) {
            for number in stride(from: 19_999, to: 19_700, by: -7) {
                try bench.psql(
                    "INSERT INTO product (id, title) VALUES ('\(ShopDocuments.hex(number))', 'mine') "
                        + "ON CONFLICT (id) DO UPDATE SET quantity = product.quantity"
                )
            }
        }
        let doubled = try bench.psql("SELECT count(*) FROM product WHERE title = 'mine'")
        #expect(doubled == "0\n", "the last quiet sync brought them to the source's state")
    }
}
