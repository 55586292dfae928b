import Engine
import Foundation
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// Rows as they are kept: whatever order they come in, whatever tables are there already.
@Suite struct StoreTests {
    private static let scope = SourceScope(source: "shopify", accountID: "acme", scope: "s", country: "DE")
    private static let day = Date(timeIntervalSince1970: 1_772_323_200)

    private func write(_ pages: [[DocumentRecord]], _ bench: PullBench) async throws {
        try await bench.pool.withConnection { connection in
            let types = try await ColumnTypes.read(on: connection)
            let store = MarketplaceStore(scope: Self.scope, types: types)
            for page in pages {
                var rows = MappedRows()
                rows.documents = page
                let written = rows
                try await connection.withTransaction { connection in
                    _ = try await store.write(written, .order, compareOnly: false, in: connection)
                }
            }
        }
    }

    /// One state of an order: lines come, go, change their day and their product.
    private static func order(_ number: Int, version: Int64, _ random: inout SeededGenerator) -> DocumentRecord {
        let lines = (0..<Int.random(in: 0...3, using: &random)).map { line -> LineRecord in
            .order(
                LineRecord.OrderLine(
                    id: "\(line)",
                    productCode: "p\(Int.random(in: 0...2, using: &random))",
                    sku: nil,
                    day: day.addingTimeInterval(86_400 * Double(Int.random(in: 0...40, using: &random))),
                    soldAt: day,
                    units: Int.random(in: 1...4, using: &random),
                    unitsRefunded: Int.random(in: 0...1, using: &random),
                    revenue: Decimal(Int.random(in: 0...9_999, using: &random)) / 100,
                    refunded: 0,
                    unitsReturned: Int.random(in: 0...1, using: &random),
                    returned: Decimal(Int.random(in: 0...99, using: &random)) / 100,
                    unitCost: Bool.random(using: &random) ? Decimal(1) / 4 : nil,
                    currency: "EUR"
                )
            )
        }
        return DocumentRecord(id: "o\(number)", version: version, status: "v\(version)", lines: lines)
    }

    /// Property: pages repeated and in any order end in the newest state of each order (INV-3, INV-9).
    @Test(arguments: SeededGenerator.seeds(6))
    func anyOrderOfPagesEndsInTheNewestStates(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let states = (0..<12).map { number in
            (1...3).map { Self.order(number, version: Int64($0), &random) }
        }
        let clean = try await PullBench()
        try await write([states.map { $0[2] }], clean)
        let bench = try await PullBench()
        var all = states.flatMap { $0 } + states.flatMap { $0 }
        all.shuffle(using: &random)
        var pages: [[DocumentRecord]] = []
        while !all.isEmpty {
            let size = Int.random(in: 1...7, using: &random)
            pages.append(Array(all.prefix(size)))
            all.removeFirst(min(size, all.count))
        }
        try await write(pages, bench)
        #expect(try bench.tables() == clean.tables(), "\(random)")
        let rebuilt = """
            SELECT count(*) FROM sales_ts s FULL JOIN (SELECT product_code, ts,
                sum(units - units_refunded - units_returned) AS units,
                sum(revenue - refunded - returned) AS revenue FROM marketplace.order_lines GROUP BY 1, 2) l
                USING (product_code, ts)
            WHERE (s.units_sold, s.revenue) IS DISTINCT FROM (l.units, l.revenue)
            """
        #expect(try bench.psql(rebuilt) == "0", "\(random)")
        await clean.pool.close()
        await bench.pool.close()
    }

    /// Tables of the service replaced: other types, one plain table, rows in them.
    @Test func anExistingSchemaIsTakenOver() async throws {
        let url = try TestPostgres.shared().freshDatabase()
        try TestPostgres.shared().psql(
            url,
            """
            CREATE TABLE product (id serial PRIMARY KEY, account_id varchar(64) NOT NULL, marketplace varchar(32),
                country char(2), product_code varchar(128), sku varchar(64), asin varchar(16), title text,
                category text, brand text, currency_code char(3), created_at timestamptz DEFAULT now(),
                UNIQUE (account_id, marketplace, country, product_code));
            CREATE TABLE listing (id serial PRIMARY KEY, account_id varchar(64), marketplace_listing_id varchar(200),
                product_id integer, sku varchar(64), asin varchar(16), url text, status varchar(20),
                UNIQUE (account_id, marketplace_listing_id));
            CREATE TABLE sales_ts (account_id varchar(64), marketplace varchar(32), country char(2),
                product_code varchar(128), ts timestamptz, units_sold integer, revenue numeric(14, 2),
                margin numeric(14, 2), cogs numeric(14, 2), currency_code char(3),
                UNIQUE (account_id, marketplace, country, product_code, ts));
            CREATE TABLE fees_ts (account_id varchar(64), marketplace varchar(32), country char(2),
                product_code varchar(128), ts timestamptz, fee_type varchar(64), amount numeric(14, 2),
                currency_code char(3), UNIQUE (account_id, marketplace, country, product_code, ts, fee_type));
            INSERT INTO sales_ts VALUES ('acme', 'shopify', 'DE', 'old', '2020-01-01', 1, 5, NULL, NULL, 'EUR');
            """
        )
        let bench = try await PullBench(url: url)
        let record = try await bench.run(bench.shopify())
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        #expect(try bench.psql("SELECT relkind FROM pg_class WHERE oid = 'sales_ts'::regclass") == "r")
        #expect(try bench.psql("SELECT revenue FROM sales_ts WHERE product_code = 'old'") == "5.00")
        #expect(try bench.psql("SELECT count(*) > 50 FROM listing WHERE product_id IS NOT NULL") == "t")
        let again = try await bench.run(bench.shopify())
        #expect(again.summary?["counts"]?["changed"]?.int == 0)
        await bench.pool.close()
    }

    /// More listings than Amazon's search admits to, and a sweep by report.
    @Test func aLargeCatalogueIsHalvedAndSweptByReport() async throws {
        let german = try #require(AmazonMarketplace("DE"))
        let trade = MockTrade(orderEvery: 1_000_000, productCount: 700, hasEdits: false)
        let total = (0..<trade.products(at: PullBench.noon)).reduce(0) { $0 + trade.variantCount(of: $1) }
        #expect(total > 1_000)
        let mock = MockAmazon(trades: [german.id: trade], sellerID: "A0MOCKSELLER", now: { PullBench.noon })
        let bench = try await PullBench()
        var options = RunOptions()
        options.pipeline = "listings"
        let first = try await bench.run(bench.amazon(transport: mock), options)
        #expect(first.state == .succeeded, "\(String(describing: first.error))")
        #expect(try bench.psql("SELECT count(*) FROM listing WHERE status = 'active'") == "\(total)")
        _ = try bench.psql(
            "INSERT INTO listing (account_id, marketplace_listing_id, marketplace, scope, status) "
                + "VALUES ('acme', 'ghost', 'amazon', '\(german.id)', 'active')"
        )
        let second = try await bench.run(bench.amazon(transport: mock), options)
        #expect(second.state == .succeeded, "\(String(describing: second.error))")
        #expect(second.summary?["counts"]?["marked"]?.int == 1)
        #expect(try bench.psql("SELECT marketplace_listing_id FROM listing WHERE status = 'deleted'") == "ghost")
        await bench.pool.close()
    }

    @Test func aSweepThatWouldMarkMuchFails() async throws {
        let bench = try await PullBench()
        var options = RunOptions()
        options.pipeline = "products"
        #expect(try await bench.run(bench.shopify(), options).state == .succeeded)
        let shrunk = MockTrade(orderEvery: 14_400, productCount: 2)
        let record = try await bench.run(bench.shopify(shrunk), options)
        #expect(record.state == .failed)
        #expect(record.error?.kind == "change-implausible")
        #expect(try bench.psql("SELECT count(*) FROM product WHERE deleted_at IS NOT NULL") == "0")
        await bench.pool.close()
    }

    @Test func everyMigrationIsListed() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Sources/Marketplaces/Migrations").standardized
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path()).sorted()
        #expect(MarketplaceMigrations.files.map(\.name) == files)
        for file in MarketplaceMigrations.files {
            #expect(file.bytes == Array(try Data(contentsOf: folder.appending(path: file.name))))
        }
    }

    private static func documents(_ kind: DocumentRecord.Kind, _ currency: String) -> [DocumentRecord] {
        let line: LineRecord =
            switch kind {
            case .order:
                .order(
                    LineRecord.OrderLine(
                        id: "1",
                        productCode: "custom",
                        sku: nil,
                        day: day,
                        soldAt: day,
                        units: 1,
                        unitsRefunded: 0,
                        revenue: 5,
                        refunded: 0,
                        unitCost: nil,
                        currency: currency
                    )
                )
            case .fee:
                .fee(
                    LineRecord.FeeLine(
                        id: "1",
                        productCode: "",
                        sku: nil,
                        day: day,
                        postedAt: day,
                        type: "processing_fee",
                        amount: 5,
                        currency: currency
                    )
                )
            }
        return [DocumentRecord(id: "o1", version: 1, status: "paid", lines: [line])]
    }

    /// Two shops of one account and country with two currencies: their sum would be money of neither.
    @Test(arguments: [DocumentRecord.Kind.order, .fee])
    func twoCurrenciesAreNeverAdded(kind: DocumentRecord.Kind) async throws {
        let bench = try await PullBench()
        let store = { (scope: String, currency: String) in
            var rows = MappedRows()
            rows.documents = Self.documents(kind, currency)
            let written = rows
            try await bench.pool.withConnection { connection in
                let types = try await ColumnTypes.read(on: connection)
                let scope = SourceScope(source: "shopify", accountID: "acme", scope: scope, country: "DE")
                try await connection.withTransaction { connection in
                    _ = try await MarketplaceStore(scope: scope, types: types)
                        .write(written, kind, compareOnly: false, in: connection)
                }
            }
        }
        try await store("euros", "EUR")
        await #expect { try await store("dollars", "USD") } throws: {
            let error = $0 as? TallyError
            return error?.kind == .settingsInvalid && error?.summary.contains("currencies") == true
        }
        let (table, measure) = kind == .order ? ("sales_ts", "revenue") : ("fees_ts", "amount")
        #expect(try bench.psql("SELECT \(measure)::int, currency_code FROM \(table)") == "5|EUR")
        try await store("more euros", "EUR")
        #expect(try bench.psql("SELECT \(measure)::int, currency_code FROM \(table)") == "10|EUR")
        await bench.pool.close()
    }
}
