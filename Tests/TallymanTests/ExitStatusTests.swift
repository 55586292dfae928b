import Foundation
import TestKit
import Testing

/// What the command line says by its exit status, with a source that does what the test wants.
@Suite(.serialized, .timeLimit(.minutes(3))) struct ExitStatusTests {
    private static let products = 300

    private func shop(titles: String = "varchar") throws -> (server: MongoStandIn, settings: [String: String]) {
        let server = try MongoStandIn()
        try server.loadProducts(0..<Self.products)
        let cart = try TestPostgres.shared().freshDatabase()
        try TestPostgres.shared().psql(
            cart,
            """
            CREATE TABLE product (id varchar PRIMARY KEY, title \(titles), price numeric, image varchar,
                "sellerId" varchar, quantity int)
            """
        )
        let settings = ["PRODUCT_SERVICE_MONGODB_URL": server.url, "CART_DB_URL": cart]
        #expect(try CommandLineTests.run(["migrate", "up"], settings).status == 0)
        return (server, settings)
    }

    @Test func deadLettersAreThree() throws {
        // "Product 0" to "Product 99" fit, the rest is too long by one.
        let (server, settings) = try shop(titles: "varchar(10)")
        defer { server.stop() }
        let answer = try CommandLineTests.run(["sync", "--json"], settings)
        #expect(answer.status == 3, "\(answer.errors)")
        let object = try JSONSerialization.jsonObject(with: Data(answer.output.utf8)) as? [String: Any]
        #expect(object?["success"] as? Bool == false)
        #expect(object?["state"] as? String == "partial")
        let written = try TestPostgres.shared().psql(settings["CART_DB_URL"] ?? "", "SELECT count(*) FROM product")
        #expect(written == "100\n")
        #expect(try CommandLineTests.run(["dead-letters", "list"], settings).output.contains("title"))
        let kept = "SELECT count(*) FILTER (WHERE payload IS NULL), count(*) FROM etl.dead_letters"
        let counts = try TestPostgres.shared().psql(settings["CART_DB_URL"] ?? "", kept)
        #expect(counts.contains("200|200"), "no record is kept unless told")
        // Known and unmended, they are no success either.
        #expect(try CommandLineTests.run(["sync"], settings).status == 3)
        try TestPostgres.shared().psql(settings["CART_DB_URL"] ?? "", "ALTER TABLE product ALTER title TYPE varchar")
        #expect(try CommandLineTests.run(["dead-letters", "retry"], settings).status == 0)
        #expect(try CommandLineTests.run(["sync"], settings).status == 0, "mended, the next sync takes them")
    }

    @Test func aDeadLetterKeepsTheRecordOnlyWhenTold() throws {
        var (server, settings) = try shop(titles: "varchar(10)")
        defer { server.stop() }
        settings["DEAD_LETTER_PAYLOAD"] = "full"
        #expect(try CommandLineTests.run(["sync"], settings).status == 3)
        let kept = try TestPostgres.shared().psql(
            settings["CART_DB_URL"] ?? "",
            "SELECT payload->>'title', payload->>'price' FROM etl.dead_letters WHERE key = '\(ShopDocuments.hex(250))'"
        )
        #expect(kept.contains("Product 250"))
        #expect(kept.contains("250.99"))
        let listed = try CommandLineTests.run(["dead-letters", "list", "--json"], settings)
        #expect(!listed.output.contains("Product 250"), "kept for the database's owner, not told")
    }

    @Test func aRunThatGoesOnIsSeventyFive() async throws {
        let (server, settings) = try shop()
        defer { server.stop() }
        let gate = StandInGate()
        server.script(StandInFault(.hold(gate), on: ["find"], skip: 1))
        let first = try TallymanBinary.start(["sync"], settings)
        try await gate.waitForArrival()
        let second = try CommandLineTests.run(["sync", "--wait", "1", "--json"], settings)
        #expect(second.status == 75)
        let object = try JSONSerialization.jsonObject(with: Data(second.output.utf8)) as? [String: Any]
        let runID = (object?["error"] as? [String: Any])?["runId"] as? String
        #expect(runID?.isEmpty == false, "the run that goes on is named")
        #expect(second.errors.contains("waiting up to 1 s"))
        gate.open()
        #expect(try await first.wait() == .code(0))
        #expect(try CommandLineTests.run(["sync", "--wait", "0"], settings).status == 0)
    }

    @Test func watermarksAreSetListedAndForgotten() throws {
        let (server, settings) = try shop()
        defer { server.stop() }
        let key = ["cart", "shopify", "orders", "acct"]
        #expect(try CommandLineTests.run(["watermarks", "set"] + key, settings).status == 2, "nothing says where")
        let instant = ["--instant", "2026-11-20T00:00:00.123456Z"]
        #expect(try CommandLineTests.run(["watermarks", "set"] + key + instant, settings).status == 0)
        let listed = try CommandLineTests.run(["watermarks", "list", "--json"], settings).output
        #expect(listed.contains("\"cursorTs\":\"2026-11-20T00:00:00.123456Z\""), "\(listed)")
        #expect(try CommandLineTests.run(["watermarks", "delete"] + key, settings).status == 0)
        #expect(try CommandLineTests.run(["watermarks", "delete"] + key, settings).status == 1)
        #expect(try CommandLineTests.run(["watermarks"], settings).output.contains("none"))
        #expect(try CommandLineTests.run(["watermarks", "delete", "moon", "a", "b"], settings).status == 1)
    }

    @Test(arguments: [SIGTERM, SIGINT])
    func aSignalEndsTheRunAndLeavesNothing(number: Int32) async throws {
        let (server, settings) = try shop()
        defer { server.stop() }
        let gate = StandInGate()
        server.script(StandInFault(.hold(gate), on: ["find"], skip: 1))
        let first = try TallymanBinary.start(["sync"], settings)
        try await gate.waitForArrival()
        first.signal(number)
        #expect(try await first.wait(within: .seconds(30)) == .code(1), "\(first.progress.value.errorText)")
        gate.open()
        let runs = try CommandLineTests.run(["runs", "--json"], settings)
        #expect(runs.output.contains("\"interrupted\""))
        #expect(try CommandLineTests.run(["sync", "--wait", "0"], settings).status == 0, "its lease is free")
    }

    @Test func aDaemonToldToStopEndsWithZeroInTheMiddleOfARun() async throws {
        let (server, settings) = try shop()
        defer { server.stop() }
        let gate = StandInGate()
        let daemon = try Daemon(settings)
        defer { daemon.signal(SIGKILL) }
        try await daemon.ready()
        server.script(StandInFault(.hold(gate), on: ["find"], skip: 1))
        #expect(try await daemon.start("product_sync").status == 202)
        try await gate.waitForArrival()
        daemon.signal(SIGTERM)
        #expect(try await daemon.child.wait(within: .seconds(30)) == .code(0))
        gate.open()
        let runs = try CommandLineTests.run(["runs", "--json"], settings)
        #expect(runs.output.contains("\"interrupted\""))
    }
}
