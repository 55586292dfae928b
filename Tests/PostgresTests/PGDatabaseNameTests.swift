import Postgres
import Runtime
import Testing

@Suite struct PGDatabaseNameTests {
    private static func settings(_ url: String) -> PGSettings {
        PGSettings(url: Secret(url), applicationName: "tallyman-test")
    }

    /// Host, port and name may stand in the path or in the query; credentials never show.
    @Test(arguments: [
        ("postgresql://etl:secret@db.example:5433/cart?sslmode=require", "db.example:5433/cart"),
        ("postgres://db/cart", "db/cart"),
        ("postgresql://etl:secret@[::1]:5432/cart", "[::1]:5432/cart"),
        ("postgresql://etl:secret@/shop?host=/cloudsql/p:r:cart", "/cloudsql/p:r:cart/shop"),
        ("postgresql://etl@%2Fvar%2Frun/cart", "/var/run/cart"),
        ("postgresql://h/c?user=etl&password=p@ss", "h/c"),
        ("postgresql:///?hostaddr=10.0.0.1&port=6&dbname=x", "10.0.0.1:6/x"),
    ])
    func isReadAsLibpqReadsIt(url: String, label: String) {
        #expect(Self.settings(url).databaseLabel == label)
    }

    @Test func isOneDatabaseWhereHostPortAndNameAgree() {
        func name(_ url: String) -> PGDatabaseName? { PGDatabaseName(url) }
        #expect(name("postgresql://a:b@h:1/c") == name("postgres://x@h:1/c?sslmode=disable"))
        #expect(name("postgresql:///a?host=/x") != name("postgresql:///a?host=/y"))
        #expect(name("postgresql://h/a") != name("postgresql://h/a?dbname=b"))
    }

    @Test(arguments: ["postgresql://h/c?nothing=secret", "postgresql://h/%zz-secret", "postgresql://[::1/secret"])
    func whatLibpqRefusesHasNoNameAndShowsNothing(url: String) {
        #expect(PGDatabaseName(url) == nil)
        #expect(!Self.settings(url).databaseLabel.contains("secret"))
    }
}
