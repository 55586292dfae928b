import Engine
import Logging
import Mongo
import Postgres
import ProductSync
import Runtime
import TestKit

/// A source database on nx-27017, a database of its own as cart and ledger, and the product sync between them.
struct SyncBench {
    let url: String
    let cart: PGPool
    let mongo: MongoPool

    static let table = """
        CREATE TABLE product (
            id varchar PRIMARY KEY, title varchar, price numeric, image varchar, "sellerId" varchar, quantity int)
        """

    /// `source` is the URL of the source's database; nx-27017 where none is given.
    static func make(table: String = table, source: String? = nil) async throws -> SyncBench {
        let url = try TestPostgres.shared().freshDatabase()
        let cart = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 6)
        let mongo = try MongoPool(
            MongoSettings(
                url: Secret(try source ?? TestMongo.freshDatabaseURL()),
                user: nil,
                password: nil,
                applicationName: "tallyman-test"
            )
        )
        try await cart.withConnection { connection in
            try await connection.execute(table)
            _ = try await EngineMigrations.migrator().up(connection)
        }
        return SyncBench(url: url, cart: cart, mongo: mongo)
    }

    func load(_ count: Int) async throws {
        try await insert((0..<count).map { ProductDocuments.product($0) })
    }

    func insert(_ documents: [BSONDocument]) async throws {
        for start in stride(from: 0, to: documents.count, by: 500) {
            var list = BSONBuilder()
            for (index, document) in documents[start..<min(documents.count, start + 500)].enumerated() {
                list.append("\(index)", document: document)
            }
            var command = BSONBuilder()
            command.append("insert", string: "products")
            command.append("documents", array: list.finish())
            try await send(command.finish())
        }
    }

    func remove(_ number: Int) async throws {
        try await delete { $0.append("_id", objectID: ProductDocuments.id(number)) }
    }

    func removeAll() async throws {
        try await delete { _ in }
    }

    func replace(_ number: Int, with document: BSONDocument) async throws {
        try await remove(number)
        try await insert([document])
    }

    private func delete(_ filter: (inout BSONBuilder) -> Void) async throws {
        var query = BSONBuilder()
        filter(&query)
        var delete = BSONBuilder()
        delete.append("q", document: query.finish())
        delete.append("limit", int32: 0)
        var list = BSONBuilder()
        list.append("0", document: delete.finish())
        var command = BSONBuilder()
        command.append("delete", string: "products")
        command.append("deletes", array: list.finish())
        try await send(command.finish())
    }

    private func send(_ command: BSONDocument) async throws {
        _ = try await mongo.withSession { try await $0.command(command) }
    }

    func job(_ settings: ProductSyncSettings = ProductSyncSettings(), fault: TargetWriter.Fault? = nil)
        -> ProductSyncJob
    {
        ProductSyncJob(settings: settings, mongo: mongo, cart: cart, fault: fault)
    }

    /// Runs the job through the engine, as the daemon does, and gives the ledger's record of it; the ledger is in the
    /// cart unless `state` says otherwise.
    func run(
        _ job: any Job,
        _ options: RunOptions = RunOptions(),
        failpoint: Failpoint = .none,
        state: PGPool? = nil
    ) async throws -> RunRecord {
        let runner = JobRunner(
            state: state ?? cart,
            jobs: [job],
            holder: "test",
            failpoint: failpoint,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        )
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
            "SELECT coalesce(md5(string_agg(ctid::text || xmin::text || product::text, ',' ORDER BY id)), '') "
                + "FROM product"
        ).rows[0][0].string()
    }

    func close() async {
        await cart.close()
        await mongo.close()
    }
}
