import Foundation
import Runtime
import TestKit

/// A shop of products on the stand-in, and carts made from one template that holds them all.
struct CrashShop {
    static let products = 50_000
    let server: MongoStandIn
    let postgres: TestPostgres
    /// A database whose cart equals the source; others are copied from it.
    let template: String

    static func make(products: Int = products) async throws -> CrashShop {
        let server = try MongoStandIn()
        try server.loadProducts(0..<products)
        let postgres = try TestPostgres.shared()
        let template = try postgres.freshDatabase()
        try postgres.psql(template, table)
        let shop = CrashShop(server: server, postgres: postgres, template: template)
        let settings = shop.settings(cart: template)
        try shop.expectDone(try TallymanBinary.run(["migrate", "up"], settings))
        try shop.expectDone(try TallymanBinary.run(["sync", "--verify"], settings))
        try postgres.psql(template, "TRUNCATE etl.runs, etl.shards, etl.leases, etl.fences")
        return shop
    }

    static let table = """
        CREATE TABLE product (
            id varchar PRIMARY KEY, title varchar, price numeric, image varchar, "sellerId" varchar, quantity int)
        """

    func settings(cart: String) -> [String: String] {
        ["PRODUCT_SERVICE_MONGODB_URL": server.url, "CART_DB_URL": cart, "LOG_LEVEL": "warning"]
    }

    /// A cart of its own in which a third is missing, a third stale and a few rows are nobody's.
    func damagedCart() throws -> String {
        let name = TestTag.fresh()
        guard let slash = template.range(of: "/", options: .backwards) else {
            throw TestServiceMissing("the URL has no database")
        }
        let original = template[slash.upperBound...].prefix { $0 != "?" }
        try postgres.psql(postgres.adminURL, "CREATE DATABASE \(name) TEMPLATE \(original)")
        let cart = template.replacingOccurrences(of: original, with: name)
        try postgres.psql(
            cart,
            """
            DELETE FROM product WHERE hashtext(id) % 3 = 0;
            UPDATE product SET price = price + 1, title = 'stale' WHERE hashtext(id) % 3 = 1;
            """
        )
        return cart
    }

    func drop(_ cart: String) {
        guard let slash = cart.range(of: "/", options: .backwards) else { return }
        _ = try? postgres.psql(postgres.adminURL, "DROP DATABASE \(cart[slash.upperBound...]) WITH (FORCE)")
    }

    /// Every value of the table, as one digest.
    func digest(_ cart: String) throws -> String {
        try postgres.psql(cart, "SELECT count(*), md5(string_agg(product::text, ',' ORDER BY id)) FROM product")
    }

    /// Tables of ours outside `etl`, and advisory locks that somebody still holds.
    func leftovers(_ cart: String) throws -> String {
        try postgres.psql(
            cart,
            """
            SELECT (SELECT count(*) FROM pg_class WHERE relname LIKE 'tallyman%'),
                (SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                 WHERE d.datname = current_database() AND l.locktype = 'advisory'),
                (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relname <> 'product')
            """
        )
    }

    func expectDone(_ ended: ChildProcess.Progress) throws {
        guard ended.exit == .code(0) else {
            throw TestServiceMissing("tallyman ended with \(String(describing: ended.exit)): \(ended.errorText)")
        }
    }
}
