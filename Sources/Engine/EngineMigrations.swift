package import Postgres

/// The engine's migrations, compiled into the binary; the same set goes into every target.
package enum EngineMigrations {
    /// Every file of the folder, by name; a test compares the list with the folder.
    package static let files: [(name: String, bytes: [UInt8])] = [
        ("20261121000100_create_engine.sql", PackageResources._0261121000100_create_engine_sql),
        ("20261121000150_deepen_engine.sql", PackageResources._0261121000150_deepen_engine_sql),
        ("20261121000200_create_rate_limits.sql", PackageResources._0261121000200_create_rate_limits_sql),
        ("20261121000300_index_history.sql", PackageResources._0261121000300_index_history_sql),
        ("20261121000400_create_shards.sql", PackageResources._0261121000400_create_shards_sql),
    ]

    /// Throws `.settingsInvalid` when a compiled file is not in dbmate's form.
    package static func migrator() throws -> PGMigrator {
        PGMigrator(
            migrations: try files.map {
                try PGMigration(fileName: $0.name, text: String(decoding: $0.bytes, as: UTF8.self))
            },
            schema: "etl"
        )
    }
}
