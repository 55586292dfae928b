package import Postgres

/// The warehouse's migrations, compiled into the binary.
package enum AnalyticsMigrations {
    /// Every file of the folder, by name; a test compares the list with the folder.
    package static let files: [(name: String, bytes: [UInt8])] = [
        ("20261121000900_create_analytics.sql", PackageResources._0261121000900_create_analytics_sql),
        ("20261121000910_create_analytics_views.sql", PackageResources._0261121000910_create_analytics_views_sql),
    ]

    /// Throws `.settingsInvalid` when a compiled file is not in dbmate's form.
    package static func all() throws -> [PGMigration] {
        try files.map { try PGMigration(fileName: $0.name, text: String(decoding: $0.bytes, as: UTF8.self)) }
    }
}
