import API
import Engine
import Postgres
import Runtime

/// The compiled-in migrations over every configured database: the engine's in each, and what its features need.
struct DatabaseMigrations: Sendable {
    struct Status: Sendable {
        let database: String
        let migrations: [(name: String, isApplied: Bool)]
    }

    private struct Target: Sendable {
        let pool: PGPool
        let migrator: PGMigrator
    }

    private let targets: [Target]

    /// `state` needs the engine's tables alone. Throws `.settingsInvalid` when a compiled-in file is not in dbmate's
    /// form, which a test rules out.
    init(_ databases: [FeatureDatabase], state: PGPool) throws {
        var order: [PGPool] = []
        var extra: [ObjectIdentifier: [PGMigration]] = [:]
        for database in databases + [FeatureDatabase(role: "state", pool: state)] {
            let id = ObjectIdentifier(database.pool)
            if extra[id] == nil { order.append(database.pool) }
            extra[id, default: []] += database.migrations
        }
        let engine = try EngineMigrations.migrator()
        targets = order.map { pool in
            let own = extra[ObjectIdentifier(pool)] ?? []
            return Target(
                pool: pool,
                migrator: PGMigrator(migrations: engine.migrations + own, schema: engine.schema)
            )
        }
    }

    /// Applies what is missing in every database; returns what was applied, per database.
    func up() async throws -> [(database: String, applied: [String])] {
        var all: [(database: String, applied: [String])] = []
        for target in targets {
            let applied = try await target.pool.withConnection { try await target.migrator.up($0) }
            all.append((target.pool.settings.databaseLabel, applied))
        }
        return all
    }

    /// Takes back the newest migration of every database.
    func down() async throws -> [(database: String, reverted: String?)] {
        var all: [(database: String, reverted: String?)] = []
        for target in targets {
            let reverted = try await target.pool.withConnection { try await target.migrator.down($0) }
            all.append((target.pool.settings.databaseLabel, reverted))
        }
        return all
    }

    func status() async throws -> [Status] {
        var all: [Status] = []
        for target in targets {
            let list = try await target.pool.withConnection { try await target.migrator.status($0) }
            all.append(
                Status(
                    database: target.pool.settings.databaseLabel,
                    migrations: list.map { ("\($0.migration.version)_\($0.migration.name)", $0.applied) }
                )
            )
        }
        return all
    }

    /// - Throws: `.migrationsMissing` when a database lacks one.
    func require() async throws {
        for database in try await status() {
            let missing = database.migrations.filter { !$0.isApplied }.count
            guard missing > 0 else { continue }
            throw TallyError(
                .migrationsMissing,
                during: "migrations",
                "\(database.database) lacks \(missing) migrations",
                remedy: "Run `tallyman migrate up`."
            )
        }
    }

    /// Whether every database has its migrations, asked over the sessions of probes.
    func probe(over pools: DatabasePools) async -> ProbeResult {
        await DependencyProbe.probe {
            for target in targets {
                let list = try await pools.probePool(target.pool.settings).withConnection {
                    try await target.migrator.status($0)
                }
                let missing = list.filter { !$0.applied }.count
                guard missing == 0 else {
                    throw TallyError(
                        .migrationsMissing,
                        during: "probe",
                        "\(target.pool.settings.databaseLabel): \(missing) migrations are not applied"
                    )
                }
            }
        }
    }
}
