import Engine
import Foundation
import HTTPClient
import HTTPServer
import HTTPTypes
import Logging
import Postgres
import Retail
import RetailMock
import Runtime
import Synchronization
import TestKit

/// A shop behind the sample API on a real socket, a warehouse of its own, a bronze folder of its own.
final class RetailBench: Sendable {
    static let opened = Date(timeIntervalSince1970: 1_767_225_600)

    static let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    let url: String
    let pool: PGPool
    let folder: String
    let faults = MockFaults()
    let shop: SampleShop
    private let clock: Mutex<Date>

    init(sales: Int = 300, editDelay: TimeInterval = 3_600) async throws {
        url = try TestPostgres.shared().freshDatabase()
        pool = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 8)
        folder = FileManager.default.temporaryDirectory.appending(path: TestTag.fresh("bronze")).path
        shop = SampleShop(seed: 7, opened: Self.opened, secondsPerSale: 60, editDelay: editDelay)
        clock = Mutex(Self.opened.addingTimeInterval(Double(sales) * 60))
        let migrations = try EngineMigrations.migrator().migrations + RetailMigrations.migrations()
        _ = try await pool.withConnection { try await PGMigrator(migrations: migrations, schema: "etl").up($0) }
    }

    /// The shop's time, by which it grows and edits.
    var now: Date {
        get { clock.withLock { $0 } }
        set { clock.withLock { $0 = newValue } }
    }

    func pass(seconds: TimeInterval) { clock.withLock { $0.addTimeInterval(seconds) } }

    /// The highest id that the source shows.
    var lastID: Int { (1...shop.lastSaleID(at: now)).last { shop.sale($0, at: now) != nil } ?? 0 }

    var books: ShopBooks { ShopBooks(shop, at: now) }

    func settings(
        compression: BronzeCompression = .none,
        lookback: Int64 = 1_000,
        limit: Int = 50,
        fileSalesMax: Int = 100_000,
        retentionDays: Int? = nil
    ) -> RetailSettings {
        RetailSettings(
            salesLimit: limit,
            lookback: lookback,
            bronzeFolder: folder,
            compression: compression,
            retentionDays: retentionDays,
            fileSalesMax: fileSalesMax
        )
    }

    var gold: GoldSettings {
        GoldSettings(
            executable: ProcessInfo.processInfo.environment["TEST_DBT"] ?? "dbt-that-is-not-installed",
            database: Secret(url)
        )
    }

    /// Settings of the built binary for this warehouse and folder.
    func environment(_ base: URL) -> [String: String] {
        [
            "RETAIL_DATABASE_URL": url, "API_BASE_URL": base.absoluteString, "API_KEY": "key", "SALES_LIMIT": "50",
            "BRONZE_DIR": folder, "DBT_DOCS_DIR": folder + "-docs", "DBT_EXECUTABLE": gold.executable,
            "LOG_LEVEL": "error", "LOG_FORMAT": "text", "HOST": "127.0.0.1",
        ]
    }

    /// What a query answers as soon as it answers anything, while the child runs.
    func answer(_ sql: String, while child: ChildProcess) throws -> String {
        while true {
            let answer = try ask(sql)
            if !answer.isEmpty { return answer.split(separator: "\n").first.map(String.init) ?? "" }
            guard child.progress.value.exit == nil else {
                throw TestServiceMissing("it ended: \(child.progress.value.errorText)")
            }
        }
    }

    /// Serves the sample API for the length of `body`, which gets its base URL.
    ///
    /// With `sales` that answers instead of the shop's: each call gives the next of them, and then none.
    func serving<Result: Sendable>(
        sales: [String]? = nil,
        _ body: (URL) async throws -> Result
    ) async throws -> Result {
        let api = RetailMockAPI(shop: shop, key: Secret("key"), faults: faults, slowness: .seconds(30)) { self.now }
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let server = Server(
            configuration: HTTPServerConfiguration(host: "127.0.0.1", port: 0),
            router: sales.map(Self.router) ?? api.router,
            logger: logger
        )
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            defer { group.cancelAll() }
            let port = await server.boundPort
            guard let base = URL(string: "http://127.0.0.1:\(port)") else { throw TestServiceMissing("no URL") }
            return try await body(base)
        }
    }

    private static func router(_ pages: [String]) -> Router {
        let left = Mutex(pages)
        @Sendable func answer(_ items: String) -> ServerResponse {
            ServerResponse(
                status: .ok,
                headers: [.contentType: "application/json"],
                body: .bytes(Array("{\"items\": [\(items)]}".utf8))
            )
        }
        var router = Router()
        router.on(.get, "/sales") { _, _ in answer(left.withLock { $0.isEmpty ? "" : $0.removeFirst() }) }
        for path in ["/customers", "/products"] { router.on(.get, path) { _, _ in answer("") } }
        return router
    }

    /// Puts a whole file of such lines into its place, as a killed run or the service replaced leaves it.
    func put(_ entity: BronzeEntity, stamp: String, _ lines: [String]) throws {
        let day = "\(stamp.prefix(4))-\(stamp.dropFirst(4).prefix(2))-\(stamp.dropFirst(6).prefix(2))"
        let place = "\(folder)/\(entity.rawValue)/\(day)"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: URL(filePath: "\(place)/\(stamp).ndjson"))
    }

    func api(_ base: URL, key: String? = "key", deadline: Duration = .seconds(20)) -> RetailAPI {
        RetailAPI(
            base: base,
            key: key.map { Secret($0) },
            transport: URLSessionTransport(userAgent: "tests"),
            limits: ExchangeLimits(idle: .seconds(60), total: deadline)
        )
    }

    /// One run through the real runner; its record.
    func run(
        _ base: URL,
        _ settings: RetailSettings? = nil,
        options: RunOptions = RunOptions(),
        key: String? = "key",
        gold: GoldSettings? = nil,
        deadline: Duration = .seconds(20),
        failpoint: Failpoint = .none
    ) async throws -> RunRecord {
        let job = RetailJob(
            settings: settings ?? self.settings(),
            warehouse: pool,
            api: api(base, key: key, deadline: deadline),
            gold: gold ?? self.gold
        )
        let runner = JobRunner(
            state: pool,
            jobs: [job],
            holder: "test",
            failpoint: failpoint,
            logger: Self.quiet
        )
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await runner.run() }
            defer { group.cancelAll() }
            let id = try await runner.submit("retail", options, trigger: .api, requestedBy: "test")
            return try await runner.wait(id)
        }
    }

    /// Bronze and silver, one after the other; the records.
    @discardableResult
    func load(_ base: URL, _ settings: RetailSettings? = nil, failpoint: Failpoint = .none) async throws -> [RunRecord]
    {
        var records: [RunRecord] = []
        for stage in ["bronze", "silver"] {
            records.append(try await run(base, settings, options: .stage(stage), failpoint: failpoint))
        }
        return records
    }

    /// What psql prints for a query.
    func ask(_ sql: String) throws -> String {
        try TestPostgres.shared().psql(url, sql).trimmingCharacters(in: .newlines)
    }

    /// Silver without its bookkeeping, every row in order.
    func silver(bookkeeping: Bool = false) throws -> String {
        let more = bookkeeping ? ", _ingestion_ts, _batch_id" : ""
        return try [
            "SELECT customer_id, emails, phone_numbers\(more) FROM silver.customers ORDER BY 1",
            "SELECT product_sku, description, unit_amount, supplier\(more) FROM silver.products ORDER BY 1",
            "SELECT id, datetime, total_amount, customer_id, _line_count\(more) FROM silver.sales_customer ORDER BY 1",
            "SELECT sale_id, line_no, product_sku, quantity, amount\(more) FROM silver.sales_product ORDER BY 1, 2",
        ].map(ask).joined(separator: "\n--\n")
    }

    /// Bronze files in their places, by path.
    func files() -> [String] {
        ((try? FileManager.default.subpathsOfDirectory(atPath: folder)) ?? []).filter { $0.contains(".ndjson") }
            .sorted()
    }

    func close() async {
        await pool.close()
        for path in [folder, folder + "-docs"] { try? FileManager.default.removeItem(atPath: path) }
    }
}

extension RunOptions {
    static func stage(_ stage: String, dryRun: Bool = false, fromBronze: String? = nil) -> RunOptions {
        var options = RunOptions(dryRun: dryRun)
        options.stage = stage
        options.fromBronze = fromBronze
        return options
    }
}

extension ShopBooks {
    /// As psql prints an exact amount of so many cents.
    static func text(_ cents: Int) -> String { "\(cents / 100).\(cents % 100 < 10 ? "0" : "")\(cents % 100)" }
}
