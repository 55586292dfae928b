import Dispatch
import Foundation
import Mongo
import Runtime
import Testing

/// The MongoDB wire server that nobody here wrote, given by `TEST_NX_MONGO_URL`.
enum NXServer {
    static var url: String? { ProcessInfo.processInfo.environment["TEST_NX_MONGO_URL"] }
    /// In CI a missing server is a failure: the tests run and find no URL.
    static var isExpected: Bool { url != nil || ProcessInfo.processInfo.environment["CI"] == "true" }

    static func withCollection(
        _ name: String,
        documents: Int,
        _ body: (MongoPool, String) async throws -> Void
    ) async throws {
        let url = try #require(url, "TEST_NX_MONGO_URL is not set")
        let pool = try MongoPool(MongoSettings(url: Secret(url + "/tallyman_test"), applicationName: "tallyman-test"))
        let collection = "t_\(name)_\(UInt32.random(in: .min ... .max))"
        if documents > 0 {
            _ = try await pool.withSession { session in
                try await session.command(
                    bson { command in
                        command.append("insert", string: collection)
                        command.append(
                            "documents",
                            array: bson { list in
                                for index in 0..<documents { list.append("\(index)", document: document(index)) }
                            }
                        )
                    }
                )
            }
        }
        try await body(pool, collection)
        _ = try await pool.withSession { session in
            try await session.command(bson { $0.append("drop", string: collection) })
        }
        await pool.close()
    }

    static func document(_ index: Int) -> BSONDocument {
        bson {
            $0.append("_id", objectID: id(index))
            $0.append("title", string: "Product \(index)")
            $0.append("price", double: Double(index) + 0.25)
        }
    }

    static func id(_ index: Int) -> [UInt8] {
        [0x65, 0, 0, 0, 0, 0, 0, 0, 0, 0, UInt8(index >> 8), UInt8(index & 0xFF)]
    }
}

@Suite(.enabled(if: NXServer.isExpected, "did not run: TEST_NX_MONGO_URL is not set"), .serialized)
struct NXServerTests {
    @Test func pingAnswers() async throws {
        try await NXServer.withCollection("ping", documents: 1) { pool, _ in
            try await pool.ping(timeout: .seconds(5))
        }
    }

    @Test func aFindCrossesBatchesInOrder() async throws {
        try await NXServer.withCollection("batches", documents: 250) { pool, collection in
            let titles = Shared<[String]>([])
            let sort = bson { $0.append("_id", int32: 1) }
            let count = try await pool.withSession { session in
                try await session.find(MongoFind(collection: collection, sort: sort, batchSize: 40)) { document in
                    let copy = BSONDocument(bytes: document.withUnsafeBufferPointer { Array($0) })
                    let title = try copy.string("title")
                    titles.change { $0.append(title ?? "") }
                }
            }
            #expect(count == 250)
            #expect(titles.value == (0..<250).map { "Product \($0)" })
        }
    }

    /// The way the sync reads: pages on `_id`, each a find of its own.
    @Test func keysetPagesMeetEveryDocumentOnce() async throws {
        try await NXServer.withCollection("pages", documents: 95) { pool, collection in
            var seen: [[UInt8]] = []
            var filter = BSONDocument.empty
            while true {
                let request = MongoFind(
                    collection: collection,
                    filter: filter,
                    sort: bson { $0.append("_id", int32: 1) },
                    projection: bson { $0.append("_id", int32: 1) },
                    limit: 20,
                    batchSize: 20
                )
                let page = try await pool.withSession { try await $0.findAll(request) }
                let ids = try page.map { document -> [UInt8] in
                    let element = try #require(try document.element("_id"))
                    #expect(try document.element("title") == nil, "the projection holds")
                    return Array(document.bytes[element.value])
                }
                guard let last = ids.last else { break }
                seen += ids
                let bound = bson { $0.append("$gt", objectID: last) }
                filter = bson { $0.append("_id", document: bound) }
            }
            #expect(seen == (0..<95).map { NXServer.id($0) })
        }
    }

    @Test func counts() async throws {
        try await NXServer.withCollection("counts", documents: 30) { pool, collection in
            let one = bson { $0.append("title", string: "Product 7") }
            let counts = try await pool.withSession { session in
                [
                    try await session.count(collection), try await session.count(collection, filter: one),
                    try await session.estimatedCount(collection), try await session.count(collection + "_missing"),
                ]
            }
            #expect(counts == [30, 1, 30, 0])
        }
    }

    @Test func whatEachThrowsEndsTheFind() async throws {
        struct Enough: Error {}
        try await NXServer.withCollection("throws", documents: 50) { pool, collection in
            let seen = Shared(0)
            await #expect(throws: Enough.self) {
                try await pool.withSession { session in
                    try await session.find(MongoFind(collection: collection, batchSize: 10)) { _ in
                        let now = seen.change { seen -> Int in
                            seen += 1
                            return seen
                        }
                        if now == 15 { throw Enough() }
                    }
                }
            }
            #expect(seen.value == 15)
            let count = try await pool.withSession { try await $0.count(collection) }
            #expect(count == 50, "the pool is intact")
        }
    }

    @Test func theServersErrorKeepsItsCode() async throws {
        try await NXServer.withCollection("error", documents: 5) { pool, collection in
            let bogus = bson { $0.append("$bogus", int32: 1) }
            let filter = bson { $0.append("title", document: bogus) }
            let error = await #expect(throws: TallyError.self) {
                try await pool.withSession { try await $0.findAll(MongoFind(collection: collection, filter: filter)) }
            }
            #expect(error?.mongoError?.domain == .server)
            #expect(error?.kind == .unknown)
        }
    }

    @Test func aCancelledFindDeliversNothingFurther() async throws {
        try await NXServer.withCollection("cancel", documents: 50) { pool, collection in
            let seen = Shared(0)
            let reached = TestSignal()
            let cancelled = DispatchSemaphore(value: 0)
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    await #expect(throws: CancellationError.self) {
                        try await pool.withSession { session in
                            try await session.find(MongoFind(collection: collection, batchSize: 10)) { _ in
                                seen.change { $0 += 1 }
                                reached.fire()
                                cancelled.wait()
                            }
                        }
                    }
                    #expect(seen.value == 1, "the one under way is waited for")
                }
                await reached.wait()
                group.cancelAll()
                cancelled.signal()
            }
            while !Task.isCancelled, pool.stats.inUse > 0 { await Task.yield() }
            #expect(seen.value == 1)
        }
    }
}
