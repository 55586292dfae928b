package import Postgres

/// What table exports need in their target beyond the engine's tables, compiled into the binary.
package enum TableExportMigrations {
    /// Every file of the folder, by name; a test compares the list with the folder.
    package static let files: [(name: String, bytes: [UInt8])] = [
        (
            "20261121000600_create_table_exports.sql",
            PackageResources._0261121000600_create_table_exports_sql
        ),
        (
            "20261121130000_keep_verifications.sql",
            PackageResources._0261121130000_keep_verifications_sql
        ),
        (
            "20261121230000_keep_what_was_exported.sql",
            PackageResources._0261121230000_keep_what_was_exported_sql
        ),
    ]

    /// Throws `.settingsInvalid` when a compiled file is not in dbmate's form.
    package static func migrations() throws -> [PGMigration] {
        try files.map { try PGMigration(fileName: $0.name, text: String(decoding: $0.bytes, as: UTF8.self)) }
    }
}
