package import Postgres

/// The warehouse's migrations, compiled into the binary.
package enum RetailMigrations {
    /// Every file of the folder, by name; a test compares the list with the folder.
    package static let files: [(name: String, bytes: [UInt8])] = [
        ("20261121000810_create_retail.sql", PackageResources._0261121000810_create_retail_sql)
    ]

    /// Throws `.settingsInvalid` when a compiled file is not in dbmate's form.
    package static func migrations() throws -> [PGMigration] {
        try files.map { try PGMigration(fileName: $0.name, text: String(decoding: $0.bytes, as: UTF8.self)) }
    }
}
