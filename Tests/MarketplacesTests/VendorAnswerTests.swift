import Engine
import Foundation
import HTTPClient
import Marketplaces
import Runtime
import TestKit
import Testing

/// What the vendors may answer, recorded by hand.
@Suite struct VendorAnswerTests {
    private static let path = "/admin/api/\(ShopifySettings.version)/graphql.json"

    private static func exchange(
        _ body: String,
        status: Int = 200,
        headers: [String: String]? = nil,
        contains: [String]? = nil
    ) -> RecordedExchange {
        RecordedExchange(
            request: .init(method: "POST", path: path, contains: contains),
            response: .init(status: status, headers: headers, body: body)
        )
    }

    private static let shop = exchange(
        #"{"data":{"shop":{"currencyCode":"EUR","ianaTimezone":"Europe/Berlin"}}}"#,
        contains: ["TallymanShop"]
    )

    private static func client(_ exchanges: [RecordedExchange]) throws -> (ShopifyClient, RecordedTransport) {
        let transport = RecordedTransport(exchanges)
        let client = ShopifyClient(
            settings: try #require(ShopifySettings(shop: "example")),
            transport: transport,
            tokens: FixedToken(Secret("shpat_example")),
            throttle: Throttle(limits: LocalRateLimits(), progress: Progress(), budgetEnds: .distantFuture),
            logger: PullBench.silent
        )
        return (client, transport)
    }

    private static func bag(_ amount: String) -> String {
        #"{"shopMoney":{"amount":"\#(amount)","currencyCode":"EUR"}}"#
    }

    private static func line(_ number: Int) -> String {
        #"{"id":"L\#(number)","quantity":1,"sku":"S","originalTotalSet":\#(bag("2.50")),"variant":{"id":"V"}}"#
    }

    /// Lines beyond an order's first page belong to it too.
    @Test func nestedPagesAreDrained() async throws {
        let order = """
            {"data":{"orders":{"pageInfo":{"hasNextPage":false},"nodes":[{"id":"O1",
            "createdAt":"2026-02-01T10:00:00Z","updatedAt":"2026-02-01T10:00:00Z","test":false,
            "lineItems":{"pageInfo":{"hasNextPage":true,"endCursor":"c1"},"nodes":[\(Self.line(1))]},
            "refunds":[{"id":"R1","refundLineItems":{"pageInfo":{"hasNextPage":true,"endCursor":"c2"},
            "nodes":[{"quantity":1,"subtotalSet":\(Self.bag("2.50")),"lineItem":{"id":"L1"}}]}}]}]}}}
            """
        let lines = """
            {"data":{"order":{"lineItems":{"pageInfo":{"hasNextPage":false},"nodes":[\(Self.line(2))]}}}}
            """
        let refunded = """
            {"data":{"refund":{"refundLineItems":{"pageInfo":{"hasNextPage":false},
            "nodes":[{"quantity":1,"subtotalSet":\(Self.bag("1.25")),"lineItem":{"id":"L2"}}]}}}}
            """
        let (client, transport) = try Self.client([
            Self.shop, Self.exchange(order, contains: ["TallymanOrders", "updated_at:>='2026-01-01T00:00:00Z'"]),
            Self.exchange(lines, contains: ["TallymanLinesOfOrder", "c1"]),
            Self.exchange(refunded, contains: ["TallymanLinesOfRefund", "c2"]),
        ])
        let source = try await ShopifySource(client: client, accountID: "acme", country: "DE")
        let window = PullWindow(since: Date(timeIntervalSince1970: 1_767_225_600), until: PullBench.noon)
        let page = try await source.page(.sales, window, cursor: nil)
        #expect(transport.unused == 0)
        #expect(page.next == nil)
        let document = try #require(page.rows.documents.first)
        let refunds = document.lines.map { line -> Decimal in
            if case .order(let line) = line { line.refunded } else { -1 }
        }
        #expect(refunds == [Decimal(25) / 10, Decimal(125) / 100])
    }

    @Test(arguments: [
        (#"{"errors":[{"extensions":{"code":"THROTTLED"}}]}"#, 200, TallyError.Kind.serverBusy),
        (#"{"errors":[{"extensions":{"code":"ACCESS_DENIED"}}],"data":null}"#, 200, .permissionDenied),
        (#"{"errors":[{"extensions":{"code":"MAX_COST_EXCEEDED"}}]}"#, 200, .limitExceeded),
        (#"{"errors":"Unavailable Shop"}"#, 200, .sourceUnreachable), ("{}", 200, .sourceUnreachable),
        ("<html>", 200, .sourceUnreachable), ("", 401, .credentialsRejected), ("", 402, .permissionDenied),
        ("", 404, .notFound), ("", 429, .serverBusy), ("", 503, .serverBusy),
    ])
    func refusalsSayWhatToDo(body: String, status: Int, kind: TallyError.Kind) async throws {
        let answers = Array(repeating: Self.exchange(body, status: status), count: 2)
        let (client, _) = try Self.client(answers)
        await #expect { _ = try await client.send(.shop, [:]) } throws: { ($0 as? TallyError)?.kind == kind }
    }

    @Test func anotherVersionThanAskedForHalts() async throws {
        let old = Self.exchange("{\"data\":{}}", headers: ["X-Shopify-API-Version": "2025-10"])
        let (client, _) = try Self.client([old])
        await #expect { _ = try await client.send(.shop, [:]) } throws: {
            ($0 as? TallyError)?.kind == .schemaMismatch
        }
    }

    // MARK: Amazon's finances

    private static func transaction(_ status: String, id: String = "") -> WireJSON {
        let leaf = { (type: String, amount: String, below: String) in
            """
            {"breakdownType":"\(type)","breakdownAmount":{"currencyAmount":\(amount),"currencyCode":"EUR"},
            "breakdowns":[\(below)]}
            """
        }
        // The commission and the closing fee do not add up to the expenses: five cents are left.
        let fees = leaf("Commission", "-1.10", "") + "," + leaf("FixedClosingFee", "-0.45", "")
        let expenses = leaf("Expenses", "-1.60", leaf("AmazonFees", "-1.60", fees))
        let text = """
            {\(id)"transactionType":"Shipment","transactionStatus":"\(status)","postedDate":"2026-02-01T10:00:00Z",
            "relatedIdentifiers":[{"relatedIdentifierName":"ORDER_ID","relatedIdentifierValue":"028-1"}],
            "items":[{"contexts":[{"asin":"B01","sku":"S1","quantityShipped":1}],"breakdowns":[\(expenses)]}],
            "breakdowns":[\(leaf("Expenses", "-2.00", ""))]}
            """
        return (try? WireJSON(parsing: Array(text.utf8))) ?? .null
    }

    @Test func breakdownsAreReadToTheirLeaves() throws {
        var mapping = AmazonMapping(marketplace: try #require(AmazonMarketplace("DE")), sellerID: "A1")
        let document = try #require(try mapping.fees(Self.transaction("RELEASED"), id: "t"))
        var found: [String: Decimal] = [:]
        for case .fee(let line) in document.lines {
            found["\(line.productCode)/\(line.type)", default: 0] += line.amount
        }
        #expect(
            found == [
                "B01/Commission": Decimal(110) / 100, "B01/FixedClosingFee": Decimal(45) / 100,
                "B01/AmazonFees": Decimal(5) / 100, "/Other": Decimal(40) / 100,
            ]
        )
    }

    @Test func aReleasedTransactionIsTheDeferredOne() throws {
        let deferred = AmazonMapping.identity(Self.transaction("DEFERRED")) { _ in 0 }
        let released = AmazonMapping.identity(Self.transaction("RELEASED")) { _ in 0 }
        #expect(deferred == released)
        #expect(AmazonMapping.identity(Self.transaction("RELEASED")) { _ in 1 } == released + "#1")
        let named = Self.transaction("RELEASED", id: "\"transactionId\":\"T9\",")
        #expect(AmazonMapping.identity(named) { _ in 0 } == "T9")
    }

    /// Listed accounts are checked whole; what is wrong is named without its value.
    @Test(arguments: [
        (#"{"shopify":[{"account":"a","country":"DE","shop":"x","clientId":"i","clientSecret":"s"}]}"#, ""),
        (#"{"shopify":[{"account":"a","country":"DE","shop":"x","clientId":"TOPSECRET"}]}"#, "clientSecret"),
        (#"{"amazon":[{"account":"a","sellerId":"A","marketplaces":["DE","US"],"accessToken":"t"}]}"#, "one region"),
        (#"{"amazon":[{"account":"a","sellerId":"A","marketplaces":["Mars"],"accessToken":"t"}]}"#, "marketplaces"),
        (#"{"shops":[]}"#, "lists"), ("{}", "no account"), ("[", "not JSON"),
    ])
    func accountsAreCheckedWhole(json: String, problem: String) throws {
        if problem.isEmpty {
            #expect(try MarketplaceAccounts(json: Array(json.utf8)).shopify.count == 1)
        } else {
            #expect { _ = try MarketplaceAccounts(json: Array(json.utf8)) } throws: {
                let error = $0 as? TallyError
                return error?.summary.contains(problem) == true && !"\(String(reflecting: error))".contains("TOPSECRET")
            }
        }
    }
}
