import Postgres
import Runtime
import TestKit
import Testing

/// Which collations sort like memcmp, by the provider that sorts and not by a name.
@Suite struct PGCatalogTests {
    private static func byteOrder(_ url: String, _ column: String) async throws -> Bool? {
        let connection = try await PGConnection.connect(PGSettings(url: Secret(url), applicationName: "catalog-test"))
        try await connection.execute("CREATE TABLE t (c \(column))")
        let table = try await PGCatalog.table(connection, schema: nil, name: "t")
        await connection.close()
        return try #require(table?.columns.first).collation?.isByteOrder
    }

    @Test(arguments: [
        ("text COLLATE \"C\"", Bool?.some(true)), ("varchar(9) COLLATE \"POSIX\"", true),
        ("text COLLATE ucs_basic", true), ("text COLLATE \"en-x-icu\"", false), ("text COLLATE own.\"C\"", false),
        ("text COLLATE own.bytes", true), ("int", nil),
    ])
    func collationsOfColumns(column: String, expected: Bool?) async throws {
        let url = try TestPostgres.shared().freshDatabase()
        try TestPostgres.shared().psql(
            url,
            "CREATE SCHEMA own; CREATE COLLATION own.\"C\" (provider = icu, locale = 'en'); "
                + "CREATE COLLATION own.bytes (provider = libc, locale = 'C')"
        )
        #expect(try await Self.byteOrder(url, column) == expected)
    }

    /// With ICU's the database's `LC_COLLATE` says nothing about the order.
    @Test(arguments: [
        ("LC_COLLATE 'C' LC_CTYPE 'C'", true),
        ("LOCALE_PROVIDER icu ICU_LOCALE 'en' LC_COLLATE 'C' LC_CTYPE 'C'", false),
    ])
    func theDatabasesOwn(options: String, expected: Bool) async throws {
        let server = try TestPostgres.shared()
        let connection = try await PGConnection.connect(
            PGSettings(url: Secret(server.adminURL), applicationName: "catalog-test")
        )
        defer { withExtendedLifetime(connection) {} }
        // Before version 15 a database has no provider of its own.
        if options.contains("icu"), connection.serverVersion < 150_000 { return }
        let name = TestTag.fresh()
        try await connection.execute("CREATE DATABASE \(name) TEMPLATE template0 ENCODING 'UTF8' \(options)")
        let base = try server.freshDatabase()
        let slash = try #require(base.lastIndex(of: "/"))
        #expect(try await Self.byteOrder(base[...slash] + name, "text") == expected)
        await connection.close()
    }
}
