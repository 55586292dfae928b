import Engine
import Foundation
import HTTPClient
import Marketplaces
import Runtime
import TestKit
import Testing

/// Every example of Amazon's models: what we ask for is mapped, everything is decoded, nothing is left out unnoticed.
@Suite(.enabled(if: Fixtures.areThere, "FIXTURES_DIR is not set: the vendors' examples are not beside this clone"))
struct AmazonExampleTests {
    /// How each operation of the models is held. A model that brings another one fails the test.
    private enum Use {
        /// Asked by us, or of the same shape as what we ask: `everyExampleOfAmazonIsStoredWithoutLoss`,
        /// `theOtherAnswersAreUnderstood` and the tests below map it.
        case mapped
        /// Never asked by us; its examples are decoded only.
        case decoded
    }

    private static let uses: [String: Use] = [
        "orders_2026-01-01/searchOrders": .mapped, "orders_2026-01-01/getOrder": .mapped,
        "finances_2024-06-19/listTransactions": .mapped, "listingsItems_2021-08-01/searchListingsItems": .mapped,
        "listingsItems_2021-08-01/getListingsItem": .mapped, "catalogItems_2022-04-01/searchCatalogItems": .mapped,
        "catalogItems_2022-04-01/getCatalogItem": .mapped, "sales/getOrderMetrics": .mapped,
        "reports_2021-06-30/createReport": .mapped, "reports_2021-06-30/getReport": .mapped,
        "reports_2021-06-30/getReportDocument": .mapped,
        // Balances and summaries repeat what the transactions say.
        "finances_2024-06-19/listBalances": .decoded, "finances_2024-06-19/listSummary": .decoded,
    ]
    /// Models no operation of which is asked: retired by Amazon, writing, or of no use to the four tables.
    private static let decodedModels: Set<String> = [
        "financesV0", "ordersV0", "dataKiosk_2023-11-15", "listingsRestrictions_2021-08-01", "notifications",
        "productFeesV0", "productPricing_2022-05-01", "sellers", "tokens_2021-03-01", "transfers_2024-06-01",
        "fbaInventory",
    ]

    private static func isMapped(_ api: String, _ operation: String) -> Bool? {
        if decodedModels.contains(api) { return false }
        if let use = uses["\(api)/\(operation)"] { return use == .mapped }
        // The rest of a model that we ask something else of: it writes, or cancels.
        let writing = ["put", "patch", "delete", "cancel", "createReportSchedule", "getReports", "getReportSchedule"]
        return writing.contains { operation.hasPrefix($0) } ? false : nil
    }

    private static func examples() throws -> [WireJSON] {
        try WireJSON(parsing: Fixtures.bytes("amazon/sandbox-examples.derived.json")).array ?? []
    }

    @Test func noExampleIsUnaccountedFor() throws {
        var counts = [true: 0, false: 0]
        for example in try Self.examples() {
            let (api, operation) = (example["api"].string ?? "", example["operationId"].string ?? "")
            let isMapped: Bool? = Self.isMapped(api, operation)
            #expect(isMapped != nil, "\(api)/\(operation) is in no list")
            counts[isMapped ?? false, default: 0] += 1
        }
        #expect(counts == [true: 35, false: 148], "how many examples are mapped, and how many only decoded")
    }

    /// Our decoder against Foundation's, over every example, the recorded samples and the notifications' schemas.
    @Test func everyExampleDecodesWithoutLoss() throws {
        let folder = try #require(Fixtures.folder).appending(path: "amazon")
        let found = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)?.compactMap {
            ($0 as? URL).flatMap { $0.pathExtension == "json" ? $0 : nil }
        }
        let files = try #require(found)
        #expect(files.count >= 37)
        for file in files {
            let data = try Data(contentsOf: file)
            let theirs = try JSONSerialization.jsonObject(with: data, options: [.fragmentsAllowed])
            try Self.compare(try WireJSON(parsing: Array(data)), theirs, file.lastPathComponent)
        }
    }

    private static func compare(_ ours: WireJSON, _ theirs: Any, _ path: String) throws {
        switch ours {
        case .object(let members):
            let other = try #require(theirs as? [String: Any], "\(path)")
            try #require(Set(members.keys) == Set(other.keys), "\(path)")
            for (key, value) in members { try compare(value, try #require(other[key]), "\(path)/\(key)") }
        case .array(let elements):
            let other = try #require(theirs as? [Any], "\(path)")
            try #require(elements.count == other.count, "\(path)")
            for (index, value) in elements.enumerated() { try compare(value, other[index], "\(path)/\(index)") }
        case .string(let text): try #require(theirs as? String == text, "\(path)")
        case .number(let text):
            let number = try #require(theirs as? NSNumber, "\(path)")
            try #require(Double(text) == number.doubleValue, "\(path)")
        case .bool(let value): try #require(theirs as? Bool == value, "\(path)")
        case .null: try #require(theirs is NSNull, "\(path)")
        }
    }

    // MARK: Sums

    private static func cents(_ holder: Any?, _ name: String = "amount") -> Decimal {
        let value = (holder as? [String: Any])?[name]
        return (value as? String).flatMap { Decimal(string: $0) } ?? (value as? NSNumber)?.decimalValue ?? 0
    }

    /// Revenue of every order of the examples, added up from Foundation's reading of them.
    @Test func ordersKeepTheirSums() throws {
        let data = Data(try Fixtures.bytes("amazon/sandbox-examples.derived.json"))
        let all = try #require(try JSONSerialization.jsonObject(with: data) as? [[String: Any]])
        var checked = 0
        for entry in all where entry["api"] as? String == "orders_2026-01-01" {
            let answer = try #require(entry["response"] as? [String: Any])
            let orders = answer["orders"] as? [[String: Any]] ?? [answer["order"] as? [String: Any]].compactMap { $0 }
            for order in orders {
                var expected = Decimal(0)
                for item in order["orderItems"] as? [[String: Any]] ?? [] {
                    let proceeds = (item["proceeds"] as? [String: Any])?["breakdowns"] as? [[String: Any]] ?? []
                    if proceeds.contains(where: { $0["type"] as? String == "ITEM" }) {
                        for part in proceeds {
                            let type = part["type"] as? String
                            if type == "ITEM" { expected += Self.cents(part["subtotal"]) }
                            if type == "DISCOUNT" { expected -= abs(Self.cents(part["subtotal"])) }
                        }
                    } else {
                        let price = (item["product"] as? [String: Any])?["price"] as? [String: Any]
                        expected += Self.cents(price?["unitPrice"]) * Decimal(item["quantityOrdered"] as? Int ?? 0)
                    }
                }
                let bytes = Array(try JSONSerialization.data(withJSONObject: order))
                let id = (order["salesChannel"] as? [String: Any])?["marketplaceId"] as? String ?? ""
                var mapping = AmazonMapping(
                    marketplace: try #require(AmazonMarketplace(id), "\(id)"),
                    sellerID: "A1"
                )
                let document = try #require(try mapping.order(try WireJSON(parsing: bytes)))
                let sum = document.lines.reduce(Decimal(0)) { sum, line in
                    if case .order(let line) = line { sum + line.revenue } else { sum }
                }
                #expect(sum == expected, "\(order["orderId"] ?? "")")
                checked += 1
            }
        }
        #expect(checked >= 8)
    }

    // MARK: What the models' definitions show

    private static func definitions(_ model: String) throws -> WireJSON {
        try WireJSON(parsing: Fixtures.bytes("amazon/models/\(model).json"))["definitions"]
    }

    /// The whole transaction of the model's definition, its breakdowns and its balance of them.
    @Test func theModelsOwnTransactionIsMapped() throws {
        let definitions = try Self.definitions("finances_2024-06-19")
        let transaction = definitions["Transaction"]["example"]
        let us = try #require(AmazonMarketplace("US"))
        var mapping = AmazonMapping(marketplace: us, sellerID: "A1")
        #expect(mapping.isOurs(transaction, isFirst: false))
        let id = AmazonMapping.identity(transaction) { _ in 0 }
        #expect(id == "b1qD0oAliFkLiqRyGbmeT0DoS2Z2kHzi7TZ92z-vARI")
        let document = try #require(try mapping.fees(transaction, id: id))
        #expect(document.status == "released")
        #expect(document.lines == [], "a sale without fees")
        // The same as a refund: what it takes back is its product charges.
        let refund = transaction.with("transactionType", .string("Refund"))
        let back = try #require(try mapping.refund(refund, id: id))
        guard case .order(let line) = try #require(back.lines.first) else { return }
        #expect(line.refunded == 10)
        #expect(line.unitsRefunded == 1)
        #expect(line.productCode == "B07FGXZQZ1")
        #expect(line.refundOf == "8129762527551")
        // The definitions' breakdowns, put where a fee stands.
        let breakdowns = definitions["Breakdowns"]["example"]
        let fee = transaction.with("breakdowns", breakdowns).with("items", .array([]))
        #expect(try mapping.fees(fee, id: id) != nil)
        // Contexts of every kind do no harm.
        let contexts = (definitions.object ?? [:]).filter { $0.key.hasSuffix("Context") }
            .compactMap { $0.value["example"].object == nil ? nil : $0.value["example"] }
        #expect(contexts.count >= 6)
        let rich = transaction.with("contexts", .array(contexts))
        #expect(try mapping.fees(rich, id: id) != nil)
    }

    /// A deferred transaction and its release are the same money: one of the two counts, in whatever state.
    @Test func aReleaseTellsOfTheSameMoneyAgain() throws {
        let definitions = try Self.definitions("finances_2024-06-19")
        func related(_ name: String, _ value: String) -> WireJSON {
            .object(["relatedIdentifierName": .string(name), "relatedIdentifierValue": .string(value)])
        }
        let plain = definitions["Transaction"]["example"].with("transactionType", .string("ServiceFee"))
            .with("items", .array([])).with("breakdowns", .null)
        let deferred = plain.with("transactionStatus", .string("DEFERRED"))
            .with("contexts", .array((plain["contexts"].array ?? []) + [definitions["DeferredContext"]["example"]]))
        let released = plain.with("transactionStatus", .string("DEFERRED_RELEASED"))
            .with("relatedIdentifiers", .array([related("ORDER_ID", "1"), related("RELEASE_TRANSACTION_ID", "r")]))
        let release = plain.with("transactionStatus", .string("RELEASED")).with("transactionId", .string("r"))
            .with("relatedIdentifiers", .array([related("ORDER_ID", "1"), related("DEFERRED_TRANSACTION_ID", "d")]))
        var mapping = AmazonMapping(marketplace: try #require(AmazonMarketplace("US")), sellerID: "A1")
        let before = try #require(try mapping.fees(deferred, id: "d"))
        let after = try #require(try mapping.fees(released, id: "d"))
        #expect(before.lines == after.lines)
        #expect(before.lines.count == 1)
        #expect(before.version < after.version)
        #expect(try mapping.fees(release, id: "r") == nil)
        let refund = release.with("transactionType", .string("Refund"))
        #expect(try mapping.refund(refund, id: "r") == nil)
        // Without ids it is the content that tells that both states are one transaction.
        let anonymous = [deferred, released].map {
            $0.with("transactionId", .null).with(
                "relatedIdentifiers",
                $0["relatedIdentifiers"].array.map { list in
                    .array(
                        list.map { $0["relatedIdentifierName"].string == "ORDER_ID" ? related("ORDER_ID", "1") : $0 }
                    )
                } ?? .null
            )
        }
        #expect(
            AmazonMapping.identity(anonymous[0]) { _ in 0 } == AmazonMapping.identity(anonymous[1]) { _ in 0 }
        )
    }

    // MARK: Refusals and reports

    private static func client(_ exchanges: [RecordedExchange]) throws -> (AmazonClient, RecordedTransport) {
        let transport = RecordedTransport(exchanges)
        let client = AmazonClient(
            baseURL: try #require(URL(string: "https://sellingpartnerapi-na.amazon.com")),
            sellerID: "A1",
            application: "",
            transport: transport,
            tokens: FixedToken(Secret("Atza|example")),
            throttle: Throttle(limits: LocalRateLimits(), progress: Progress(), budgetEnds: .distantFuture)
        )
        return (client, transport)
    }

    private static func exchange(_ operation: AmazonOperation, _ status: Int, _ body: String) -> RecordedExchange {
        RecordedExchange(
            request: .init(
                method: operation == .createReport ? "POST" : "GET",
                path: operation.path(seller: "A1")
            ),
            response: .init(status: status, body: body)
        )
    }

    /// Every refusal of what we ask is an error that halts, and with a page token begins the window again.
    @Test func everyRefusalIsUnderstood() async throws {
        var seen: Set<String> = []
        for example in try Self.examples() {
            guard let operation = AmazonOperation(rawValue: example["operationId"].string ?? ""),
                let status = example["status"].int, status >= 400,
                Self.isMapped(example["api"].string ?? "", operation.rawValue) == true
            else { continue }
            seen.insert(operation.rawValue)
            let body = Self.text(example["response"])
            let (client, _) = try Self.client([Self.exchange(operation, status, body)])
            let asked: JSONValue? = operation == .createReport ? [:] : nil
            await #expect { _ = try await client.get(operation, body: asked) } throws: {
                let error = $0 as? TallyError
                return error?.kind == .protocolViolation && error?.remedy != nil
            }
            let (again, _) = try Self.client([Self.exchange(operation, status, body)])
            await #expect(throws: PageTokenExpired.self) {
                _ = try await again.get(operation, body: asked, hasPageToken: true)
            }
        }
        #expect(seen.count >= 7, "\(seen)")
    }

    private static func text(_ json: WireJSON) -> String {
        switch json {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .number(let text): text
        case .string(let text): JSONValue.string(text).text
        case .array(let elements): "[\(elements.map(text).joined(separator: ","))]"
        case .object(let members):
            "{\(members.map { "\(JSONValue.string($0.key).text):\(text($0.value))" }.joined(separator: ","))}"
        }
    }

    /// The report's three answers of the models, one after the other, lead to its document.
    @Test func theReportsAnswersAreUnderstood() async throws {
        func example(_ operation: String) throws -> WireJSON {
            try #require(
                try Self.examples().first { $0["operationId"].string == operation && ($0["status"].int ?? 0) < 300 }
            )["response"]
        }
        let document = try example("getReportDocument")
        let state = try example("getReport")
        #expect(state["processingStatus"].string == "IN_PROGRESS")
        let done = state.with("processingStatus", .string("DONE")).with(
            "reportDocumentId",
            document["reportDocumentId"]
        )
        func answer(_ method: String, _ path: String, _ body: String) -> RecordedExchange {
            RecordedExchange(request: .init(method: method, path: path), response: .init(status: 200, body: body))
        }
        let reports = "/reports/2021-06-30/reports"
        let (client, transport) = try Self.client([
            answer("POST", reports, Self.text(try example("createReport"))),
            answer("GET", "\(reports)/ID323", Self.text(done)),
            answer(
                "GET",
                "/reports/2021-06-30/documents/\(document["reportDocumentId"].string ?? "")",
                Self.text(document)
            ),
            answer(
                "GET",
                "/Report_47700__GET_MERCHANT_LISTINGS_ALL_DATA_.txt",
                "item-name\titem-description\tlisting-id\tseller-sku\tprice\tasin1\nA\t\tL1\tS-1\t5\tB01\n"
            ),
        ])
        let source = AmazonSource(
            client: client,
            marketplace: try #require(AmazonMarketplace("US")),
            accountID: "acme",
            isFirst: true
        )
        let seen = Watched<[String]>([])
        try await source.sweep(.listings, .never) { rows in seen.change { $0 += rows.seen } }
        #expect(seen.value == ["A1/ATVPDKIKX0DER/S-1"])
        #expect(transport.unused == 0)
    }
}
