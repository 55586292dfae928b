import Runtime

/// One migration in dbmate's format: `-- migrate:up` and `-- migrate:down` sections in `<version>_<name>.sql`.
package struct PGMigration: Sendable, Equatable {
    package let version: String
    package let name: String
    package let up: String
    package let down: String
    /// False where the section says `transaction:false`, as a statement such as CREATE INDEX CONCURRENTLY needs it.
    package let upInTransaction: Bool
    package let downInTransaction: Bool

    /// Throws `.settingsInvalid` naming the file when its name or its sections are not dbmate's.
    package init(fileName: String, text: String) throws {
        func refuse(_ what: String) -> TallyError {
            TallyError(.settingsInvalid, during: "migrate.read", "\(fileName): \(what)")
        }
        let stem = fileName.hasSuffix(".sql") ? String(fileName.dropLast(4)) : fileName
        let parts = stem.split(separator: "_", maxSplits: 1)
        guard parts.count == 2, !parts[0].isEmpty, parts[0].allSatisfy({ $0.isASCII && $0.isNumber }) else {
            throw refuse("the name is not <version>_<name>.sql")
        }
        var up: [Substring] = []
        var down: [Substring] = []
        var section = ""
        var outside: Set<String> = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("-- migrate:up") || line.hasPrefix("-- migrate:down") {
                section = line.hasPrefix("-- migrate:up") ? "up" : "down"
                if line.contains("transaction:false") { outside.insert(section) }
            } else if section == "up" {
                up.append(line)
            } else if section == "down" {
                down.append(line)
            }
        }
        guard !section.isEmpty, !up.isEmpty else { throw refuse("no \"-- migrate:up\" section") }
        version = String(parts[0])
        name = String(parts[1])
        self.up = up.joined(separator: "\n")
        self.down = down.joined(separator: "\n")
        upInTransaction = !outside.contains("up")
        downInTransaction = !outside.contains("down")
    }
}

/// Applies migrations in order, each in one transaction with its row in `schema_migrations`, which dbmate shares.
package struct PGMigrator: Sendable {
    package struct Status: Sendable, Equatable {
        package let migration: PGMigration
        package let applied: Bool
    }

    package let migrations: [PGMigration]
    package let schema: String

    package init(migrations: [PGMigration], schema: String) {
        self.migrations = migrations.sorted { $0.version < $1.version }
        self.schema = schema
    }

    private var tableSQL: String { "\(PGIdentifier.quote(schema)).schema_migrations" }

    /// Applies what is missing; the versions applied. Two at once are safe: an advisory lock lets one in.
    package func up(_ connection: PGConnection) async throws -> [String] {
        try await locked(connection) {
            let isThere = try await connection.query("SELECT to_regnamespace($1) IS NOT NULL", [.text(schema)])
            // Even IF NOT EXISTS asks for the right to create one.
            if try isThere.rows.first?[0].bool() != true {
                try await connection.execute("CREATE SCHEMA \(PGIdentifier.quote(schema))")
            }
            try await connection.execute("CREATE TABLE IF NOT EXISTS \(tableSQL) (version varchar PRIMARY KEY)")
            let applied = try await versions(connection)
            var done: [String] = []
            for migration in migrations where !applied.contains(migration.version) {
                try await within(migration.upInTransaction, connection) { connection in
                    try await connection.execute(migration.up)
                    _ = try await connection.query(
                        "INSERT INTO \(tableSQL) (version) VALUES ($1)",
                        [.text(migration.version)]
                    )
                }
                done.append(migration.version)
            }
            return done
        }
    }

    /// Takes the newest applied migration back; its version, or nil when there is none.
    package func down(_ connection: PGConnection) async throws -> String? {
        try await locked(connection) {
            let applied = try await versions(connection)
            guard let last = migrations.last(where: { applied.contains($0.version) }) else { return nil }
            try await within(last.downInTransaction, connection) { connection in
                try await connection.execute(last.down)
                _ = try await connection.query("DELETE FROM \(tableSQL) WHERE version = $1", [.text(last.version)])
            }
            return last.version
        }
    }

    package func status(_ connection: PGConnection) async throws -> [Status] {
        let applied = try await versions(connection)
        return migrations.map { Status(migration: $0, applied: applied.contains($0.version)) }
    }

    private func within(
        _ isTransaction: Bool,
        _ connection: PGConnection,
        _ body: (PGConnection) async throws -> Void
    ) async throws {
        guard isTransaction else { return try await body(connection) }
        try await connection.withTransaction(body)
    }

    private func versions(_ connection: PGConnection) async throws -> Set<String> {
        let exists = try await connection.query("SELECT to_regclass($1) IS NOT NULL", [.text(tableSQL)])
        guard try exists.rows.first?[0].bool() == true else { return [] }
        let rows = try await connection.query("SELECT version::text FROM \(tableSQL)").rows
        return Set(try rows.map { try $0[0].string() })
    }

    private func locked<Result>(_ connection: PGConnection, _ body: () async throws -> Result) async throws -> Result {
        _ = try await connection.query("SELECT pg_advisory_lock(7236119, 1)")
        do {
            let result = try await body()
            _ = try await connection.query("SELECT pg_advisory_unlock(7236119, 1)")
            return result
        } catch {
            _ = try? await connection.query("SELECT pg_advisory_unlock(7236119, 1)")
            throw error
        }
    }
}
