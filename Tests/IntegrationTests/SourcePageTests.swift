import Engine
import Mongo
import Postgres
import ProductSync
import Runtime
import TestKit
import Testing

/// How much one page of the source holds: INV-8.
@Suite struct SourcePageTests {
    /// Reads the source and counts what its pages held, in a run as the engine gives one.
    struct PageCounting: Job {
        let name: JobName = "page_counting"
        let knownOptions: Set<RunOptionName> = []
        let settings: ProductSyncSettings
        let mongo: MongoPool
        let cart: PGPool
        let pages: Watched<[Int]>

        var targets: [PGPool] { [cart] }

        func run(_ context: RunContext) async throws -> RunSummary {
            let plan = try await ProductSyncJob.plan(settings, cart: cart)
            let reader = SourceReader(pool: mongo, plan: plan, context: context)
            try await reader.readPages(try await reader.brackets()) { page in
                pages.change { $0.append(page.sourceBytes) }
            }
            return RunSummary(counts: [:], details: [:], deadLetters: 0, proof: .compareOnly)
        }
    }

    /// Documents of 200 KiB after many small ones: a page is sized by those before it, and must not hold hundreds.
    @Test func largeDocumentsEndAPage() async throws {
        let server = try MongoStandIn()
        try server.loadProducts(0..<600)
        try server.loadProducts(600..<640, size: 200 << 10)
        let bench = try await SyncBench.make(
            table: "CREATE TABLE product (id varchar PRIMARY KEY, description text)",
            source: server.url
        )
        let job = PageCounting(
            settings: ProductSyncSettings(
                mapping: SyncMapping(columns: [.init(name: "description", path: ["description"])])
            ),
            mongo: bench.mongo,
            cart: bench.cart,
            pages: Watched([])
        )
        let record = try await bench.run(job)
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        let bytes = job.pages.value
        #expect(bytes.reduce(0, +) > 40 * (199 << 10), "every document was read")
        #expect(bytes.max() ?? 0 < (1 << 20) + (201 << 10))
        await bench.close()
        server.stop()
    }
}
