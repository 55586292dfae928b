import Analytics
import Engine
import Foundation
import Logging
import Postgres
import Runtime
import TestKit
import Testing

/// A generated shop and an empty warehouse, each a database of its own, with the jobs over them.
struct AnalyticsShop {
    static let key = "a key of the tests that is long enough"
    /// The shop's days; the generator and the oracle take the same.
    static let first = "2026-03-24"
    static let last = "2026-04-02"

    let postgres: TestPostgres
    let sourceURL: String
    let warehouseURL: String
    let source: PGPool
    let warehouse: PGPool
    let zone: String
    let season: Season

    /// Ten days around a change of the clock in Berlin, and the noon after them.
    struct Season: Sendable {
        let first: String
        let last: String
        let now: Date

        static let march = Season(
            first: AnalyticsShop.first,
            last: AnalyticsShop.last,
            now: Date(timeIntervalSince1970: 1_775_210_400)
        )
        /// With a day of 25 hours, 2026-10-25.
        static let october = Season(
            first: "2026-10-20",
            last: "2026-10-29",
            now: Date(timeIntervalSince1970: 1_793_358_000)
        )

        func wholeRange(_ options: inout RunOptions) { (options.startDate, options.endDate) = (first, last) }
    }

    private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    private static var scripts: URL { folder.appending(path: "../../bin/lib").standardizedFileURL }

    /// Days around a change of the clock in Berlin. `seed` nil leaves the source empty.
    init(seed: UInt64? = nil, zone: String = "Europe/Berlin", season: Season = .march) async throws {
        self.zone = zone
        self.season = season
        postgres = try TestPostgres.shared()
        sourceURL = try postgres.freshDatabase()
        warehouseURL = try postgres.freshDatabase()
        source = AnalyticsFeatureParts.sourcePool(Secret(sourceURL))
        warehouse = PGPool(
            PGSettings(url: Secret(warehouseURL), applicationName: "tallyman-test"),
            maxConnections: 10
        )
        let engine = try EngineMigrations.migrator()
        let migrator = PGMigrator(
            migrations: engine.migrations + (try AnalyticsMigrations.all()),
            schema: engine.schema
        )
        _ = try await warehouse.withConnection { try await migrator.up($0) }
        guard let seed else { return }
        let arguments = ["\(seed)", zone, season.first, "10", Self.key]
        let sql = try Self.python("analytics_shop.py", arguments)
        let file = FileManager.default.temporaryDirectory.appending(path: TestTag.fresh("shop") + ".sql")
        try Data(sql.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let loaded = try ChildProcess.run(
            "psql",
            ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", sourceURL, "-f", file.path]
        )
        guard loaded.exit == .code(0) else { throw TestServiceMissing("psql: \(loaded.errorText)") }
    }

    /// An empty warehouse again; erasures and the engine's tables stay.
    func emptyWarehouse() throws {
        let tables = Self.measures.map(\.table).joined(separator: ", ")
        try postgres.psql(warehouseURL, "TRUNCATE \(tables), etl.watermarks")
    }

    /// The job of that name.
    func job(_ name: JobName, _ settings: AnalyticsSettings) throws -> any Job {
        guard let job = jobs(settings).first(where: { $0.name == name }) else {
            throw TestServiceMissing("there is no job \(name)")
        }
        return job
    }

    func close() async {
        await source.close()
        await warehouse.close()
    }

    func settings(
        v1: Bool,
        legacy: Bool = false,
        keys: (Int, String) = (1, AnalyticsShop.key),
        previous: (Int, String)? = nil,
        zone: String? = nil,
        statementTimeout: Duration = .seconds(60)
    ) -> AnalyticsSettings {
        AnalyticsSettings(
            zone: TimeZone(identifier: zone ?? self.zone) ?? .gmt,
            lookbackDays: 3,
            churnDays: 30,
            readsV1: v1,
            isLegacy: legacy,
            key: TokenKey(version: keys.0, secret: Secret(keys.1)),
            previousKey: previous.map { TokenKey(version: $0.0, secret: Secret($0.1)) },
            statementTimeout: statementTimeout
        )
    }

    /// The noon after the shop's last day.
    static let now: @Sendable () -> Date = { Season.march.now }

    /// The four jobs, over another pool of the source where one is given.
    func jobs(_ settings: AnalyticsSettings, source: PGPool? = nil) -> [any Job] {
        AnalyticsJob.all(settings: settings, source: source ?? self.source, warehouse: warehouse) { [season] in
            season.now
        }
    }

    /// Runs jobs through the real runner, one after the other or all at once; their records.
    func run(
        _ jobs: [any Job],
        atOnce: Bool = false,
        failpoint: Failpoint = .none,
        settings: RunSettings = RunSettings(),
        logger: Logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
        _ set: (inout RunOptions) -> Void = { _ in }
    ) async throws -> [RunRecord] {
        var options = RunOptions()
        set(&options)
        let runner = JobRunner(
            state: warehouse,
            jobs: jobs,
            holder: "test",
            settings: settings,
            failpoint: failpoint,
            logger: logger
        )
        var records: [RunRecord] = []
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await runner.run() }
            defer { group.cancelAll() }
            for batch in atOnce ? [jobs] : jobs.map({ [$0] }) {
                var ids: [RunID] = []
                for job in batch {
                    ids.append(try await runner.submit(job.name, options, trigger: .cli, requestedBy: "test"))
                }
                for id in ids { records.append(try await runner.wait(id)) }
            }
        }
        return records
    }

    static func wholeRange(_ options: inout RunOptions) {
        (options.startDate, options.endDate) = (first, last)
    }

    /// What the warehouse holds of the measures, as lines of the oracle's form.
    func stored() throws -> Set<String> {
        let queries = Self.measures.map { measure in
            "SELECT '\(measure.table)', \(measure.columns.joined(separator: ", ")) FROM \(measure.table)"
        }
        let rows = try postgres.psql(warehouseURL, queries.joined(separator: ";"))
        return Set(rows.split(separator: "\n").map(String.init))
    }

    static let measures = Measure.all

    /// What it must hold by the independent calculation over a dump of the source.
    func expected(
        v1: Bool,
        legacy: Bool = false,
        first: String? = nil,
        last: String? = nil,
        zone: String? = nil
    ) throws -> Set<String> {
        let folder = FileManager.default.temporaryDirectory.appending(path: TestTag.fresh("dump"))
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, query) in v1 ? Self.dumpsV1 : Self.dumpsV2 {
            let csv = try postgres.psql(
                sourceURL,
                "SET timezone = 'UTC'; COPY (\(query)) TO STDOUT (FORMAT csv, HEADER, NULL '\\N')"
            )
            try Data(csv.utf8).write(to: folder.appending(path: "\(name).csv"))
        }
        let answer = try Self.python(
            "analytics_oracle.py",
            [
                folder.path, zone ?? self.zone, first ?? season.first, last ?? season.last, "30", v1 ? "v1" : "v2",
                "\(legacy)", Self.key,
            ]
        )
        return Set(answer.split(separator: "\n").map(String.init))
    }

    private static let dumpsV1 = [
        (
            "users",
            "SELECT id AS person, created_at, last_login_at AS seen_at, email_verified AS verified, "
                + "subscription_type AS tier, status FROM users"
        ),
        ("orders", "SELECT id, user_id AS person, created_at, status, total_amount FROM orders"),
        ("items", "SELECT * FROM order_items"),
        ("payments", "SELECT *, user_id AS person FROM payments"), ("notes", "SELECT * FROM notifications"),
    ]
    private static let dumpsV2 = [
        (
            "users",
            "SELECT user_token AS person, created_at, last_activity_at AS seen_at, "
                + "email_verified_at IS NOT NULL AS verified, subscription_tier AS tier, status FROM users_v2"
        ),
        ("orders", "SELECT id, user_token AS person, created_at, status, total_amount FROM orders_v2"),
        ("items", "SELECT * FROM order_items_v2"),
        ("payments", "SELECT *, user_token AS person FROM payments_v2"), ("notes", "SELECT * FROM notifications_v2"),
    ]

    private static func python(_ script: String, _ arguments: [String]) throws -> String {
        let python = ProcessInfo.processInfo.environment["TEST_PYTHON"] ?? "python3"
        let ended = try ChildProcess.run(python, [scripts.appending(path: script).path] + arguments)
        guard ended.exit == .code(0) else { throw TestServiceMissing("\(script): \(ended.errorText)") }
        return ended.outputText
    }
}

/// The first lines that only one side has, for a message that says where to look.
func difference(_ left: Set<String>, _ right: Set<String>) -> String {
    let missing = right.subtracting(left).sorted().prefix(6).map { "- \($0)" }
    let extra = left.subtracting(right).sorted().prefix(6).map { "+ \($0)" }
    return (missing + extra).joined(separator: "\n")
}
