import Engine
import Logging
import Mongo
import Postgres
import ProductSync
import Runtime
import TestKit

/// A stand-in source, a database of its own as cart and ledger, and the product sync between them.
struct SyncBench {
    let source: MongoStandIn
    let url: String
    let cart: PGPool
    let mongo: MongoPool

    static let table = """
        CREATE TABLE product (
            id varchar PRIMARY KEY, title varchar, price numeric, image varchar, "sellerId" varchar, quantity int)
        """

    static func make(table: String = table) async throws -> SyncBench {
        let source = try MongoStandIn()
        let url = try await TestPostgres.shared().freshDatabase()
        let cart = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 6)
        let mongo = try MongoPool(
            MongoSettings(url: Secret(source.url), user: nil, password: nil, applicationName: "tallyman-test"))
        try await cart.withConnection { connection in
            try await connection.execute(table)
            _ = try await EngineMigrations.migrator.up(connection)
        }
        return SyncBench(source: source, url: url, cart: cart, mongo: mongo)
    }

    func load(_ count: Int, seed: UInt64 = 1) {
        source.load("products", (0..<count).map { ProductDocuments.product($0, seed: seed) })
    }

    func job(_ settings: ProductSyncSettings = ProductSyncSettings(), fault: TargetWriter.Fault? = nil) -> ProductSyncJob {
        ProductSyncJob(settings: settings, mongo: mongo, cart: cart, fault: fault)
    }

    /// Runs the job through the engine, as the daemon does, and gives the ledger's record of it.
    func run(
        _ job: ProductSyncJob, _ options: RunOptions = RunOptions(), failpoint: Failpoint = .none
    ) async throws -> RunRecord {
        let runner = JobRunner(
            state: cart, jobs: [job], holder: "test", failpoint: failpoint, logger: Logger(label: "test"))
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await runner.run() }
            defer { group.cancelAll() }
            let id = try await runner.submit(job.name, options, trigger: .cli, requestedBy: "test")
            return try await runner.wait(id)
        }
    }

    func sql(_ text: String) async throws -> PGResult {
        try await cart.withConnection { try await $0.query(text) }
    }

    func execute(_ text: String) async throws {
        try await cart.withConnection { try await $0.execute(text) }
    }

    func number(_ text: String) async throws -> Int {
        try await sql(text).rows[0][0].int()
    }

    /// Everything a write would change about the table.
    func fingerprint() async throws -> String {
        try await sql(
            "SELECT coalesce(md5(string_agg(ctid::text || xmin::text || product::text, ',' ORDER BY id)), '') FROM product"
        ).rows[0][0].string()
    }

    func close() async {
        await cart.close()
        await mongo.close()
        source.stop()
    }
}
