import Engine
import Foundation
import Logging
import Postgres
import Runtime
import Synchronization
import TableExport
import TestKit

/// Two databases and an export between them, run without a runner so that a test may stop it anywhere.
struct ExportRig: Sendable {
    let server: TestPostgres
    /// The target's: `TEST_OTHER_POSTGRES_URL` may name one of another version; every suite can be run so.
    let targetServer: TestPostgres
    let sourceURL: String
    let targetURL: String
    let source: PGPool
    let target: PGPool

    init(source sourceSQL: String, target targetSQL: String) async throws {
        server = try TestPostgres.shared()
        sourceURL = try server.freshDatabase()
        let other = ProcessInfo.processInfo.environment["TEST_OTHER_POSTGRES_URL"]
        targetServer = other.map { TestPostgres(adminURL: $0) } ?? server
        targetURL = try targetServer.freshDatabase()
        source = PGPool(PGSettings(url: Secret(sourceURL), applicationName: "export-test"), maxConnections: 8)
        target = PGPool(PGSettings(url: Secret(targetURL), applicationName: "export-test"), maxConnections: 8)
        try await source.withConnection { try await $0.execute(sourceSQL) }
        let engine = try EngineMigrations.migrator()
        let migrator = PGMigrator(
            migrations: engine.migrations + (try TableExportMigrations.migrations()),
            schema: engine.schema
        )
        try await target.withConnection { connection in
            _ = try await migrator.up(connection)
            try await connection.execute("CREATE SCHEMA analytics_raw; \(targetSQL)")
        }
    }

    /// The first definition of a YAML text.
    static func definition(_ yaml: String, transforms: Set<String> = []) throws -> ExportDefinition {
        guard let first = try ExportDefinitions.parse(yaml, file: "exports.yaml", transforms: transforms).first else {
            throw TestServiceMissing("no definition")
        }
        return first
    }

    func job(
        _ yaml: String,
        transform: ExportTransform? = nil,
        lookback: Lookback? = nil,
        source: PGPool? = nil,
        target: PGPool? = nil
    ) throws -> TableExportJob {
        TableExportJob(
            definition: try Self.definition(yaml, transforms: ["test", "campaign"]),
            source: source ?? self.source,
            target: target ?? self.target,
            transform: transform,
            lookback: lookback,
            slots: ExportSlots(count: 2)
        )
    }

    /// One run; the fence is set as the runner would.
    @discardableResult
    func run(
        _ job: TableExportJob,
        _ options: RunOptions = RunOptions(),
        failpoint: Failpoint = .none
    ) async throws -> RunSummary {
        if !options.dryRun {
            try await target.withConnection { connection in
                _ = try await connection.query(
                    "INSERT INTO etl.fences (job, fence) VALUES ($1, 1) ON CONFLICT DO NOTHING",
                    [.text(job.name.rawValue)]
                )
            }
        }
        let id = RunID()
        let context = RunContext(
            runID: id,
            job: job.name,
            options: options,
            fence: options.dryRun ? nil : 1,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            progress: Engine.Progress(),
            deadLetters: DeadLetterSink(job: job.name, runID: id, pool: target),
            failpoint: failpoint
        )
        return try await job.run(context)
    }

    @discardableResult
    func inSource(_ sql: String) throws -> String { try server.psql(sourceURL, sql) }

    @discardableResult
    func inTarget(_ sql: String) throws -> String { try targetServer.psql(targetURL, sql) }

    func inTargetQuietly(_ sql: String) { _ = try? targetServer.psql(targetURL, sql) }

    /// Both databases as another role sees them.
    func asRole(_ role: String) -> (source: PGPool, target: PGPool) {
        func pool(_ url: String) -> PGPool {
            PGPool(PGSettings(url: Secret(url.replacing("//postgres@", with: "//\(role)@")), applicationName: "poor"))
        }
        return (pool(sourceURL), pool(targetURL))
    }

    /// Rows read past the position. Behind it, other transactions of a busy server decide how much is read again.
    static func fresh(_ summary: RunSummary) -> Int { (summary.counts["read"] ?? 0) - (summary.counts["late"] ?? 0) }

    /// Dead letters that are open: key and kind.
    func letters() throws -> String {
        try inTarget("SELECT key, kind FROM etl.dead_letters WHERE resolved_at IS NULL ORDER BY key")
    }

    func close() async {
        await source.close()
        await target.close()
    }
}

/// Fails the n-th time any point is reached, as if the process had ended there.
final class CutAt: Sendable {
    struct Cut: Error {}
    private let left: Mutex<Int>

    init(_ count: Int) { left = Mutex(count) }

    var failpoint: Failpoint {
        Failpoint { [self] _ in
            let isNow = left.withLock { left in
                left -= 1
                return left == 0
            }
            if isNow { throw Cut() }
        }
    }
}
