import Foundation
import Mongo
import Runtime
import TestKit
import Testing

/// The stand-in is a MongoDB server to drivers that are not ours.
@Suite struct StandInTests {
    private static func pool(_ server: MongoStandIn, user: String? = nil, password: String? = nil) throws -> MongoPool {
        try MongoPool(
            MongoSettings(
                url: Secret(server.url),
                user: user.map { Secret($0) },
                password: password.map { Secret($0) },
                applicationName: "tallyman-test"
            )
        )
    }

    @Test func libmongocReadsWhatWasLoaded() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<2_500)
        let pool = try Self.pool(server)
        let count = try await pool.withSession { try await $0.count("products", filter: BSONBuilder().finish()) }
        #expect(count == 2_500)
        await pool.close()
        server.stop()
    }

    @Test func loginIsBySCRAM() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<3)
        server.requireLogin(user: "reader", password: "p@ss:w/rd%")
        let good = try Self.pool(server, user: "reader", password: "p@ss:w/rd%")
        #expect(try await good.withSession { try await $0.count("products", filter: BSONBuilder().finish()) } == 3)
        await good.close()
        let bad = try Self.pool(server, user: "reader", password: "wrong")
        let error = await #expect(throws: TallyError.self) {
            try await bad.withSession { try await $0.count("products", filter: BSONBuilder().finish()) }
        }
        #expect(error?.kind == .credentialsRejected)
        await bad.close()
        server.stop()
    }

    /// pymongo, the driver of many peers, reads every document byte for byte.
    @Test func pymongoAgrees() throws {
        guard let python = ProcessInfo.processInfo.environment["TEST_PYTHON"] else {
            throw TestServiceMissing("TEST_PYTHON is not set: run the tests with bin/test")
        }
        let server = try MongoStandIn(replicaSet: "rs0")
        try server.loadProducts(0..<1_200)
        server.requireLogin(user: "u", password: "secret")
        let script = """
            import hashlib, sys
            from bson.raw_bson import RawBSONDocument
            from pymongo import MongoClient
            client = MongoClient(sys.argv[1], username="u", password="secret", document_class=RawBSONDocument)
            products = client["product"]["products"]
            sums = hashlib.sha256()
            last = None
            while True:
                query = {} if last is None else {"_id": {"$gt": last}}
                page = list(products.find(query).sort("_id", 1).limit(100))
                if not page:
                    break
                for document in page:
                    sums.update(document.raw)
                last = page[-1]["_id"]
            whole = hashlib.sha256()
            for document in products.find({}, batch_size=37).sort("_id", 1):
                whole.update(document.raw)
            print(sums.hexdigest(), whole.hexdigest(), products.count_documents({}),
                  products.estimated_document_count())
            """
        let url = "mongodb://127.0.0.1:\(server.port)/?authSource=admin&replicaSet=rs0"
        let ended = try ChildProcess.run(python, ["-c", script, url])
        #expect(ended.exit == .code(0), "\(ended.errorText)")
        let expected = try Self.sha256(server.documents("products").flatMap { $0 })
        #expect(ended.outputText == "\(expected) \(expected) 1200 1200\n")
        server.stop()
    }

    /// By `sha256sum`, so that nothing of ours vouches for ours.
    private static func sha256(_ bytes: [UInt8]) throws -> String {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(TestTag.fresh())
        try Data(bytes).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return String(try ChildProcess.run("sha256sum", [file.path]).outputText.prefix(64))
    }
}
