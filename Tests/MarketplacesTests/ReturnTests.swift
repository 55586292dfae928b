import Engine
import Foundation
import HTTPClient
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// Returns and refunds of Shopify: the same goods, told once or twice, are taken back once.
@Suite struct ReturnTests {
    // MARK: Golden

    /// Vendor-shaped answers through client, pager and mapping into a real PostgreSQL.
    @Test func aReturnAndItsRefundAreCountedOnce() async throws {
        let transport = RecordedTransport(Self.exchanges)
        let client = ShopifyClient(
            settings: try #require(ShopifySettings(shop: "example")),
            transport: transport,
            tokens: FixedToken(Secret("shpat_example")),
            throttle: Throttle(limits: LocalRateLimits(), progress: Progress(), budgetEnds: .distantFuture),
            logger: PullBench.silent
        )
        let source = try await ShopifySource(client: client, accountID: "acme", country: "DE")
        let window = PullWindow(since: Date(timeIntervalSince1970: 1_767_225_600), until: PullBench.noon)
        let page = try await source.page(.sales, window, cursor: nil)
        #expect(transport.unused == 0, "returns and their lines are drained")
        #expect(page.rows.refused == [])
        let bench = try await PullBench()
        try await Self.store(page.rows.documents, bench)
        let lines = try bench.psql(
            """
            SELECT document_id, line_id, units, revenue, units_refunded, refunded, units_returned, returned
            FROM marketplace.order_lines ORDER BY 1, 2
            """
        )
        let days = try bench.psql("SELECT product_code, units_sold, revenue, cogs FROM sales_ts ORDER BY 1")
        try Fixtures.expectGolden("\(lines)\n--\n\(days)\n", "shopify-returns.txt")
        await bench.pool.close()
    }

    private static func store(_ documents: [DocumentRecord], _ bench: PullBench) async throws {
        let scope = SourceScope(source: "shopify", accountID: "acme", scope: "s", country: "DE")
        var rows = MappedRows()
        rows.documents = documents
        let written = rows
        try await bench.pool.withConnection { connection in
            let types = try await ColumnTypes.read(on: connection)
            try await connection.withTransaction { connection in
                _ = try await MarketplaceStore(scope: scope, types: types)
                    .write(written, .order, compareOnly: false, in: connection)
            }
        }
    }

    private static func bag(_ amount: String) -> String {
        #"{"shopMoney":{"amount":"\#(amount)","currencyCode":"EUR"}}"#
    }

    private static func line(_ id: String, _ units: Int, _ amount: String) -> String {
        """
        {"id":"\(id)","quantity":\(units),"sku":"S-\(id)","originalTotalSet":\(bag(amount)),
        "variant":{"id":"V-\(id)","inventoryItem":{"unitCost":{"amount":"1.00","currencyCode":"EUR"}}}}
        """
    }

    private static func refund(_ line: String, _ units: Int, _ amount: String, _ kind: String = "RETURN") -> String {
        """
        {"id":"R-\(line)-\(units)","refundLineItems":{"pageInfo":{"hasNextPage":false},"nodes":[{"quantity":\(units),
        "restockType":"\(kind)","subtotalSet":\(bag(amount)),"lineItem":{"id":"\(line)"}}]}}
        """
    }

    private static func back(_ line: String, _ processed: Int) -> String {
        """
        {"id":"RL-\(line)","quantity":\(processed + 1),"processedQuantity":\(processed),
        "fulfillmentLineItem":{"lineItem":{"id":"\(line)"}}}
        """
    }

    private static func goods(_ status: String, _ lines: [String], more: String? = nil) -> String {
        """
        {"id":"RET-\(status)","status":"\(status)","returnLineItems":{"pageInfo":{"hasNextPage":\(more != nil),
        "endCursor":\(more.map { "\"\($0)\"" } ?? "null")},"nodes":[\(lines.joined(separator: ","))]}}
        """
    }

    private static func order(
        _ id: String,
        _ lines: [String],
        refunds: [String] = [],
        returns: [String] = [],
        more: String? = nil,
        cancelled: String = "null"
    ) -> String {
        """
        {"id":"\(id)","createdAt":"2026-02-01T10:00:00Z","updatedAt":"2026-02-01T10:00:00Z","test":false,
        "cancelledAt":\(cancelled),"lineItems":{"pageInfo":{"hasNextPage":false},
        "nodes":[\(lines.joined(separator: ","))]},"refunds":[\(refunds.joined(separator: ","))],
        "returns":{"pageInfo":{"hasNextPage":\(more != nil),"endCursor":\(more.map { "\"\($0)\"" } ?? "null")},
        "nodes":[\(returns.joined(separator: ","))]}}
        """
    }

    private static var orders: [String] {
        [
            order("01 back, not refunded", [line("a", 2, "10.00")], returns: [goods("OPEN", [back("a", 1)])]),
            order(
                "02 back and refunded",
                [line("b", 2, "10.00")],
                refunds: [refund("b", 1, "5.00")],
                returns: [goods("CLOSED", [back("b", 1)])]
            ),
            order(
                "03 one never sent, another back",
                [line("c", 3, "30.00")],
                refunds: [refund("c", 1, "10.00", "CANCEL")],
                returns: [goods("CLOSED", [back("c", 1)])]
            ),
            order(
                "04 nothing came back",
                [line("d", 2, "10.00")],
                returns: ["REQUESTED", "DECLINED", "CANCELED"].map { goods($0, [back("d", 1)]) }
            ),
            order(
                "05 exchanged",
                [line("e", 1, "12.50"), line("f", 1, "12.50")],
                returns: [goods("CLOSED", [back("e", 1)])]
            ),
            order("06 a third, to the cent", [line("g", 3, "10.00")], returns: [goods("CLOSED", [back("g", 1)])]),
            order(
                "07 a refund beyond its share",
                [line("h", 2, "10.00")],
                refunds: [refund("h", 1, "8.00")],
                returns: [goods("CLOSED", [back("h", 2)])]
            ),
            order(
                "08 of no line of ours",
                [line("i", 1, "4.00")],
                returns: [goods("CLOSED", [#"{"id":"U","quantity":1,"processedQuantity":1}"#])]
            ),
            order(
                "09 cancelled",
                [line("j", 1, "4.00")],
                returns: [goods("CLOSED", [back("j", 1)])],
                cancelled: #""2026-02-02T10:00:00Z""#
            ),
            order(
                "10 in pages",
                [line("k", 9, "9.00")],
                returns: [goods("CLOSED", [back("k", 1)], more: "c2")],
                more: "c1"
            ),
            order("11 more than was sold", [line("l", 1, "3.00")], returns: [goods("OPEN", [back("l", 2)])]),
        ]
    }

    private static var exchanges: [RecordedExchange] {
        let path = "/admin/api/\(ShopifySettings.version)/graphql.json"
        let page = #""pageInfo":{"hasNextPage":false}"#
        return [
            (["TallymanShop"], #"{"shop":{"currencyCode":"EUR","ianaTimezone":"Europe/Berlin"}}"#),
            (["TallymanOrders"], "{\"orders\":{\(page),\"nodes\":[\(orders.joined(separator: ","))]}}"),
            (
                ["TallymanReturnsOfOrder", "c1"],
                "{\"order\":{\"returns\":{\(page),\"nodes\":[\(goods("OPEN", [back("k", 2)]))]}}}"
            ),
            (
                ["TallymanLinesOfReturn", "c2"],
                "{\"return\":{\"returnLineItems\":{\(page),\"nodes\":[\(back("k", 4))]}}}"
            ),
        ].map { contains, data in
            RecordedExchange(
                request: .init(method: "POST", path: path, contains: contains),
                response: .init(status: 200, body: "{\"data\":\(data)}")
            )
        }
    }

    // MARK: Property

    /// What happened to the units of one line, as the shop knows it and the API tells it in two places.
    private struct Line {
        let units: Int
        let cents: Int
        /// Cancelled before they were sent, and refunded so.
        var unsent = 0
        /// Came back, by return.
        var arrived: [Int] = []
        /// Of those that came back, how many refunds tell of.
        var refunded = 0
        /// Asked for, declined or called off: they stay where they are.
        var idle = 0

        var back: Int { unsent + arrived.reduce(0, +) }

        mutating func happen(_ random: inout SeededGenerator) {
            switch Int.random(in: 0..<5, using: &random) {
            case 0 where back < units: unsent += 1
            case 1 where back < units: arrived.append(1)
            case 2 where back < units && !arrived.isEmpty: arrived[arrived.count - 1] += 1
            case 3 where refunded < arrived.reduce(0, +): refunded += 1
            default: idle += 1
            }
        }
    }

    private static func json(_ lines: [Line], version: Int) -> String {
        func money(_ cents: Int) -> String { MockTrade.money(cents) }
        var refunds: [String] = []
        var returns: [String] = []
        for (number, line) in lines.enumerated() {
            let id = "l\(number)"
            // Each unit by a refund of its own.
            for _ in 0..<line.unsent { refunds.append(refund(id, 1, money(line.cents), "CANCEL")) }
            for unit in 0..<line.refunded {
                refunds.append(refund(id, 1, money(line.cents), unit % 2 == 0 ? "RETURN" : "NO_RESTOCK"))
            }
            for (place, count) in line.arrived.enumerated() {
                returns.append(goods(place % 2 == 0 ? "OPEN" : "CLOSED", [back(id, count)]))
            }
            if line.idle > 0 { returns.append(goods("DECLINED", [back(id, line.idle)])) }
        }
        let shown = lines.enumerated().map { Self.line("l\($0)", $1.units, money($1.units * $1.cents)) }
        return order("O", shown, refunds: refunds, returns: returns)
            .replacing(#""updatedAt":"2026-02-01T10:00:00Z""#, with: #""updatedAt":"\#(Self.instant(version))""#)
    }

    private static func instant(_ version: Int) -> String {
        WireTime.text(PullBench.noon.addingTimeInterval(Double(version)))
    }

    /// Property: after every event the order holds what is still sold; and delivered in any order, and more than once,
    /// its states end in the table of the newest (INV-3, INV-9).
    @Test(arguments: SeededGenerator.seeds(60))
    func everyHistoryTakesBackEachUnitOnce(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        var lines = (0..<Int.random(in: 1...3, using: &random)).map { _ in
            Line(units: Int.random(in: 1...5, using: &random), cents: Int.random(in: 1...9_999, using: &random))
        }
        var mapping = ShopifyMapping(shop: "s", currency: "EUR", zone: .gmt)
        var states: [DocumentRecord] = []
        for version in 0..<Int.random(in: 2...12, using: &random) {
            let text = Self.json(lines, version: version)
            let state = try mapping.order(try WireJSON(parsing: Array(text.utf8)))
            states.append(state)
            for (line, record) in zip(lines, state.lines) {
                guard case .order(let found) = record else { continue }
                let sold = line.units - line.back
                #expect(found.units - found.unitsRefunded - found.unitsReturned == sold, "\(random) \(version)")
                let left = Decimal(string: MockTrade.money(sold * line.cents))
                #expect(found.revenue - found.refunded - found.returned == left, "\(random) \(version)")
            }
            #expect(state.lines.count == lines.count)
            let place = Int.random(in: lines.indices, using: &random)
            lines[place].happen(&random)
        }
        // A database for a few of them is enough.
        guard seed % 12 == 1 else { return }
        let (clean, bench) = (try await PullBench(), try await PullBench())
        try await Self.store([try #require(states.last)], clean)
        for state in (states + states).shuffled(using: &random) { try await Self.store([state], bench) }
        #expect(try bench.tables() == clean.tables(), "\(random)")
        await bench.pool.close()
        await clean.pool.close()
    }

    // MARK: The synthetic shop

    /// The mock has returns in every state, some refunded later; a pull of any instant agrees with its ledger.
    @Test func theMocksReturnsReachTheTables() async throws {
        let bench = try await PullBench()
        #expect(try await bench.run(bench.shopify()).state == .succeeded)
        let both = "SELECT count(*) > 0 FROM marketplace.order_lines WHERE "
        #expect(try bench.psql(both + "units_returned > 0 AND returned > 0") == "t", "back and not refunded")
        let trade = PullBench.trade
        let until = PullBench.noon.addingTimeInterval(-5)
        let orders = (0..<trade.orders(at: until)).compactMap { trade.order($0, at: until) }
        let twice = orders.filter { order in
            order.cancelledAt == nil && order.lines.contains { $0.refundedUnits > 0 && $0.returnedUnits > 0 }
        }
        #expect(!twice.isEmpty, "some goods came back and were refunded")
        for order in twice {
            let found = try bench.psql(
                """
                SELECT sum(units_refunded + units_returned) FROM marketplace.order_lines
                WHERE document_id = 'gid://shopify/Order/\(order.number + 1)'
                """
            )
            #expect(found == "\(order.lines.reduce(0) { $0 + $1.backUnits })")
        }
        await bench.pool.close()
    }
}
