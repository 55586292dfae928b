package import Postgres

/// The migrations of the marketplaces' database, compiled into the binary.
package enum MarketplaceMigrations {
    /// Every file of the folder, by name; a test compares the list with the folder.
    package static let files: [(name: String, bytes: [UInt8])] = [
        ("20261121000500_create_marketplaces.sql", PackageResources._0261121000500_create_marketplaces_sql),
        ("20261121120000_add_returns.sql", PackageResources._0261121120000_add_returns_sql),
    ]

    /// Throws `.settingsInvalid` when a compiled file is not in dbmate's form.
    package static func migrations() throws -> [PGMigration] {
        try files.map { try PGMigration(fileName: $0.name, text: String(decoding: $0.bytes, as: UTF8.self)) }
    }
}
