import API
import Engine
import Postgres
import Runtime

/// The migrations of every configured database: the engine's and its features', which are compiled in, and an
/// operator's own files.
struct DatabaseMigrations: Sendable {
    struct Status: Sendable {
        let database: String
        let migrations: [(name: String, isApplied: Bool)]
    }

    private struct Target: Sendable {
        let pool: PGPool
        let migrator: PGMigrator
        /// Of each role that the database has.
        var folders: [MigrationFolder] = []
    }

    private let targets: [Target]
    private let roles: [String]
    private let root: String

    /// `state` needs the engine's tables alone. Throws `.settingsInvalid` when a compiled-in file is not in dbmate's
    /// form, which a test rules out.
    ///
    /// - Parameter folder: where an operator's own files stand, in a folder for each role.
    init(_ databases: [FeatureDatabase], state: PGPool, folder: String) throws {
        var order: [PGPool] = []
        var extra: [ObjectIdentifier: [PGMigration]] = [:]
        var folders: [ObjectIdentifier: [MigrationFolder]] = [:]
        for database in databases + [FeatureDatabase(role: "state", pool: state)] {
            let id = ObjectIdentifier(database.pool)
            if extra[id] == nil { order.append(database.pool) }
            extra[id, default: []] += database.migrations
            let own = MigrationFolder(root: folder, role: database.role)
            if folders[id]?.contains(where: { $0.path == own.path }) != true { folders[id, default: []].append(own) }
        }
        let engine = try EngineMigrations.migrator()
        root = folder
        roles = databases.map(\.role).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
        targets = order.map { pool in
            let own = extra[ObjectIdentifier(pool)] ?? []
            return Target(
                pool: pool,
                migrator: PGMigrator(migrations: engine.migrations + own, schema: engine.schema),
                folders: folders[ObjectIdentifier(pool)] ?? []
            )
        }
    }

    /// Applies what is missing in every database; returns what was applied, per database.
    func up() async throws -> [(database: String, applied: [String])] {
        var all: [(database: String, applied: [String])] = []
        for target in targets {
            let applied = try await target.pool.withConnection { connection in
                var applied = try await target.migrator.up(connection)
                for folder in target.folders {
                    let own = try folder.migrator()
                    if !own.migrations.isEmpty { applied += try await own.up(connection) }
                }
                return applied
            }
            all.append((target.pool.settings.databaseLabel, applied))
        }
        return all
    }

    /// Takes back the newest compiled-in migration of every database, or the newest of a role's own files.
    func down(role: String? = nil) async throws -> [(database: String, reverted: String?)] {
        var all: [(database: String, reverted: String?)] = []
        let own = try role.map { try folder($0) }
        for target in targets {
            if let own, !target.folders.contains(where: { $0.path == own.path }) { continue }
            let migrator = try own?.migrator() ?? target.migrator
            let reverted = try await target.pool.withConnection { try await migrator.down($0) }
            all.append((target.pool.settings.databaseLabel, reverted))
        }
        return all
    }

    /// The folder of a role's own files. Throws `.notFound` with the roles there are.
    func folder(_ role: String) throws -> MigrationFolder {
        guard roles.contains(role) else {
            throw TallyError(
                .notFound,
                during: "migrate.folder",
                "no configured database is called \"\(role)\"",
                remedy: "Known: \(roles.joined(separator: ", "))."
            )
        }
        return MigrationFolder(root: root, role: role)
    }

    /// Compiled-in ones first, then an operator's own, these under their folder's name.
    func status() async throws -> [Status] {
        var all: [Status] = []
        for target in targets {
            let list = try await target.pool.withConnection { connection in
                var list = try await target.migrator.status(connection).map {
                    ("\($0.migration.version)_\($0.migration.name)", $0.applied)
                }
                for folder in target.folders {
                    let role = folder.path.split(separator: "/").last ?? ""
                    list += try await folder.migrator().status(connection).map {
                        ("\(role)/\($0.migration.version)_\($0.migration.name)", $0.applied)
                    }
                }
                return list
            }
            all.append(
                Status(
                    database: target.pool.settings.databaseLabel,
                    migrations: list.map { (name: $0.0, isApplied: $0.1) }
                )
            )
        }
        return all
    }

    /// Asks for the compiled-in ones only: nothing of ours depends on an operator's own.
    ///
    /// - Throws: `.migrationsMissing` when a database lacks one.
    func require() async throws {
        for target in targets {
            let list = try await target.pool.withConnection { try await target.migrator.status($0) }
            let missing = list.filter { !$0.applied }.count
            guard missing > 0 else { continue }
            throw TallyError(
                .migrationsMissing,
                during: "migrations",
                "\(target.pool.settings.databaseLabel) lacks \(missing) migrations",
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
