import API
import Engine
import Postgres
import Runtime

/// The compiled-in migrations over every configured database.
struct DatabaseMigrations: Sendable {
    struct Status: Sendable {
        let database: String
        let migrations: [(name: String, isApplied: Bool)]
    }

    private let pools: [PGPool]

    private let migrator: PGMigrator

    /// Throws `.settingsInvalid` when a compiled-in file is not in dbmate's form, which a test rules out.
    init(_ pools: [PGPool]) throws {
        self.pools = pools
        migrator = try EngineMigrations.migrator()
    }

    /// Applies what is missing in every database; returns what was applied, per database.
    func up() async throws -> [(database: String, applied: [String])] {
        var all: [(database: String, applied: [String])] = []
        for pool in pools {
            let applied = try await pool.withConnection { try await migrator.up($0) }
            all.append((pool.settings.databaseLabel, applied))
        }
        return all
    }

    /// Takes back the newest migration of every database.
    func down() async throws -> [(database: String, reverted: String?)] {
        var all: [(database: String, reverted: String?)] = []
        for pool in pools {
            let reverted = try await pool.withConnection { try await migrator.down($0) }
            all.append((pool.settings.databaseLabel, reverted))
        }
        return all
    }

    func status() async throws -> [Status] {
        var all: [Status] = []
        for pool in pools {
            let list = try await pool.withConnection { try await migrator.status($0) }
            all.append(
                Status(
                    database: pool.settings.databaseLabel,
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

    func probe(over pool: PGPool) async -> ProbeResult {
        await DependencyProbe.probe {
            let list = try await pool.withConnection { try await migrator.status($0) }
            let missing = list.filter { !$0.applied }.count
            guard missing == 0 else {
                throw TallyError(.migrationsMissing, during: "probe", "\(missing) migrations are not applied")
            }
        }
    }
}
