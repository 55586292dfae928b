import Postgres
import Runtime
import Testing

@testable import Tallyman

@Suite struct DatabasePoolsTests {
    @Test func oneDatabaseHasOnePoolAndTwoHaveTwo() {
        func settings(_ url: String) -> PGSettings { PGSettings(url: Secret(url), applicationName: "test") }
        let pools = DatabasePools()
        let cart = pools.pool(settings("postgresql://etl:a@/shop?host=/sockets/cart"))
        #expect(cart === pools.pool(settings("postgresql://etl:a@/shop?host=/sockets/cart&sslmode=disable")))
        #expect(cart !== pools.pool(settings("postgresql://etl:b@/shop?host=/sockets/warehouse")))
        let probe = pools.probePool(settings("postgresql://etl:a@/shop?host=/sockets/cart"))
        #expect(probe !== pools.probePool(settings("postgresql://etl:b@/shop?host=/sockets/warehouse")))
    }

    @Test func aURLThatLibpqRefusesIsAProblem() {
        var reader = SettingsReader { $0 == "CART_DB_URL" ? "postgresql://etl:p%ss@h/cart" : nil }
        #expect(reader.database(.cartDatabaseURL, required: nil) == nil)
        #expect(reader.problems.map(\.name) == ["CART_DB_URL"])
        #expect(!reader.problems.contains { $0.reason.contains("p%ss") })
    }
}
