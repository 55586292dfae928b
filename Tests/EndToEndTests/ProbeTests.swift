import Foundation
import Runtime
import TestKit
import Testing

/// Every cause of not-ready, brought about for real; `/live` answers 200 through all of them.
@Suite struct ProbeTests {
    /// Asks until readiness is what it should be: a probe may see the old state once.
    private func expectReady(_ isReady: Bool, _ daemon: RunningDaemon, because reason: String = "") async throws {
        var last = ""
        for _ in 0..<40 {
            #expect(try await daemon.send("GET", "/live").status == 200)
            let answer = try await daemon.send("GET", "/ready")
            last = answer.text
            let reasons = answer.json["reasons"]?.array?.compactMap(\.string) ?? []
            if answer.status == (isReady ? 200 : 503), isReady || reasons.contains(where: { $0.hasPrefix(reason) }) {
                let health = try await daemon.send("GET", "/api/etl/health")
                #expect(health.status == (isReady ? 200 : 503))
                return
            }
        }
        Issue.record("never \(isReady ? "ready" : "not ready because of \(reason)"): \(last)")
    }

    @Test func theSourceIsDown() async throws {
        let shop = try Shop(products: 3)
        let daemon = try await RunningDaemon(shop.settings())
        try await expectReady(true, daemon)
        shop.source.stop()
        try await expectReady(false, daemon, because: "productMongodb: source-unreachable")
        try shop.source.restart()
        try await expectReady(true, daemon)
        try await daemon.stop()
    }

    /// Flags that contradict the source's tables: an error at the start, and not ready until it is mended.
    @Test func theAnalyticsFlagsContradictTheTables() async throws {
        let postgres = try TestPostgres.shared()
        let source = try postgres.freshDatabase()
        let v1 = """
            CREATE TABLE users (id int, status text, subscription_type text, email_verified bool, last_login_at
                timestamptz);
            CREATE TABLE orders (id int, created_at timestamptz, status text, total_amount numeric);
            CREATE TABLE payments (created_at timestamptz, payment_method text, amount numeric, status text,
                processing_time_ms int);
            CREATE TABLE notifications (sent_at timestamptz, channel text, notification_type text, delivered_at
                timestamptz, opened_at timestamptz, clicked_at timestamptz);
            """
        let settings = [
            "ANALYTICS_SOURCE_URL": source, "ANALYTICS_WAREHOUSE_URL": try postgres.freshDatabase(),
            "PII_TOKEN_KEY": String(repeating: "k", count: 32), "ENABLE_V1_SCHEMA": "true", "PORT": "0",
            "ENABLE_SCHEDULER": "false", "LOG_FORMAT": "json",
        ]
        #expect(try TallymanBinary.run(["migrate", "up"], settings).exit == .code(0))
        let daemon = try await RunningDaemon(settings)
        try await expectReady(false, daemon, because: "analyticsTables: settings-invalid: ENABLE_V1_SCHEMA is true")
        try await daemon.process.waitForText("a check at start failed")
        let line = try #require(daemon.log.split(separator: "\n").first { $0.contains("a check at start failed") })
        #expect(
            line.contains("\"level\":\"error\"") && line.contains("Let ENABLE_V1_SCHEMA name the schema"),
            "\(line)"
        )
        try postgres.psql(source, v1)
        try await expectReady(true, daemon)
        try await daemon.stop()
    }

    @Test func theCartIsDown() async throws {
        let shop = try Shop(products: 3)
        let proxy = try TCPProxy(to: try #require(URL(string: shop.cart)?.port))
        let state = try TestPostgres.shared().freshDatabase()
        let cart = shop.cart.replacing(#/@[^/]*//#, with: "@127.0.0.1:\(proxy.port)/")
        let settings = shop.settings(["CART_DB_URL": cart, "STATE_DATABASE_URL": state])
        #expect(try TallymanBinary.run(["migrate", "up"], settings).exit == .code(0))
        let daemon = try await RunningDaemon(settings)
        try await expectReady(true, daemon)
        proxy.refuse(true)
        proxy.cut()
        try await expectReady(false, daemon, because: "postgresql: target-unreachable")
        #expect(try await daemon.send("GET", "/health").json["connections"]?["productMongodb"] == true)
        proxy.refuse(false)
        try await expectReady(true, daemon)
        // Silent is as bad as gone.
        proxy.stall(true)
        try await expectReady(false, daemon, because: "postgresql: ")
        proxy.stall(false)
        try await expectReady(true, daemon)
        try await daemon.stop()
    }

    @Test func migrationsAreMissing() async throws {
        let shop = try Shop(products: 3, migrated: false)
        let daemon = try await RunningDaemon(shop.settings())
        try await expectReady(false, daemon, because: "migrations: migrations-missing")
        #expect(try TallymanBinary.run(["migrate", "up"], shop.settings()).exit == .code(0))
        try await expectReady(true, daemon)
        try await daemon.stop()
    }

    @Test func theLeaseStoreIsLost() async throws {
        let shop = try Shop(products: 3)
        let state = try TestPostgres.shared().freshDatabase()
        let proxy = try TCPProxy(to: try #require(URL(string: state)?.port))
        let url = state.replacing(#/@[^/]*//#, with: "@127.0.0.1:\(proxy.port)/")
        let settings = shop.settings(["STATE_DATABASE_URL": url])
        #expect(try TallymanBinary.run(["migrate", "up"], settings).exit == .code(0))
        let daemon = try await RunningDaemon(settings)
        try await expectReady(true, daemon)
        let postgres = try TestPostgres.shared()
        try postgres.psql(state, "ALTER TABLE etl.leases RENAME TO leases_away")
        try await expectReady(false, daemon, because: "leases: migrations-missing")
        try postgres.psql(state, "ALTER TABLE etl.leases_away RENAME TO leases")
        try await expectReady(true, daemon)
        proxy.refuse(true)
        proxy.cut()
        try await expectReady(false, daemon, because: "leases: target-unreachable")
        proxy.refuse(false)
        try await expectReady(true, daemon)
        try await daemon.stop()
    }

    private func open(_ daemon: RunningDaemon) throws -> RawClient { try RawClient(port: daemon.port) }

    private static func get(_ path: String) -> String { "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n" }

    /// Told to stop in the middle of a run, the daemon is not ready, stays alive to the end and leaves with 0.
    @Test func theDaemonIsDraining() async throws {
        let shop = try Shop(products: 3)
        let daemon = try await RunningDaemon(shop.settings())
        try await expectReady(true, daemon)
        let gate = StandInGate()
        shop.source.script(StandInFault(.hold(gate), on: ["find"]))
        let sync = try RawClient(port: daemon.port)
        let token = try await RunningDaemon.token()
        sync.send(
            "POST /api/etl/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                + "Authorization: Bearer \(token)\r\n\r\n"
        )
        try await gate.waitForArrival()
        // Connections that are open and have not asked yet are served to the last; one between two requests is closed.
        let (idle, live, ready) = (try open(daemon), try open(daemon), try open(daemon))
        idle.send(Self.get("/live"))
        try await idle.wait(for: "HTTP/1.1 200 OK")
        daemon.process.signal(SIGTERM)
        _ = try await idle.waitForEnd()
        live.send(Self.get("/live"))
        #expect(try await live.waitForEnd().hasPrefix("HTTP/1.1 200 OK"))
        ready.send(Self.get("/ready"))
        let answer = try await ready.waitForEnd()
        #expect(answer.hasPrefix("HTTP/1.1 503 ") && answer.contains("draining: the daemon is stopping"), "\(answer)")
        gate.open()
        #expect(try await daemon.process.wait(within: .seconds(60)) == .code(0))
    }
}
