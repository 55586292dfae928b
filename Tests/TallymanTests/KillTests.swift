import Foundation
import Mongo
import Runtime
import TestKit
import Testing

/// INV-7: killed at a named point, the next run repairs what is left to do and nothing of the first stays.
@Suite(.serialized) struct KillTests {
    private static let products = 600

    private static func load(_ url: String) async throws {
        let pool = try MongoPool(MongoSettings(url: Secret(url), applicationName: "tallyman-test"))
        var list = BSONBuilder()
        for number in 0..<products {
            var document = BSONBuilder()
            document.append(
                "_id",
                objectID: [UInt8](repeating: 7, count: 10) + [UInt8(number >> 8), UInt8(number & 255)]
            )
            document.append("title", string: "Product \(number)")
            document.append("price", double: Double(number) + 0.5)
            list.append("\(number)", document: document.finish())
        }
        var command = BSONBuilder()
        command.append("insert", string: "products")
        command.append("documents", array: list.finish())
        let insert = command.finish()
        _ = try await pool.withSession { try await $0.command(insert) }
        await pool.close()
    }

    @Test(arguments: [
        "run.started", "write.afterFence", "write.beforeCommit", "write.afterCommit", "run.beforeFinish",
    ])
    func aKilledSyncIsFinishedByTheNext(point: String) async throws {
        var settings = try CommandLineTests.databases()
        let cart = settings["CART_DB_URL"] ?? ""
        try await Self.load(settings["PRODUCT_SERVICE_MONGODB_URL"] ?? "")
        let postgres = try TestPostgres.shared()
        try postgres.psql(
            cart,
            """
            CREATE TABLE product (id varchar PRIMARY KEY, title varchar, price numeric, image varchar,
                "sellerId" varchar, quantity int);
            INSERT INTO product (id, title) VALUES ('070707070707070707070000', 'old')
            """
        )
        #expect(try CommandLineTests.run(["migrate", "up"], settings).status == 0)
        settings["TALLYMAN_FAILPOINT"] = point
        #expect(try CommandLineTests.run(["sync"], settings).status == SIGKILL, "the failpoint kills")
        settings["TALLYMAN_FAILPOINT"] = nil
        let next = try CommandLineTests.run(["sync", "--verify", "--json"], settings)
        #expect(next.status == 0, "\(next.output) \(next.errors)")
        #expect(next.output.contains("full-compare"))
        #expect(try postgres.psql(cart, "SELECT count(*), count(DISTINCT id) FROM product") == "600|600\n")
        let states = try postgres.psql(cart, "SELECT string_agg(state, ',' ORDER BY queued_at) FROM etl.runs")
        #expect(states == "interrupted,succeeded\n")
        let leftovers = try postgres.psql(
            cart,
            "SELECT (SELECT count(*) FROM pg_class WHERE relname LIKE 'tallyman%'), (SELECT count(*) FROM pg_locks l "
                + "JOIN pg_database d ON d.oid = l.database WHERE d.datname = current_database() "
                + "AND l.locktype = 'advisory')"
        )
        #expect(leftovers == "0|0\n")
    }
}
