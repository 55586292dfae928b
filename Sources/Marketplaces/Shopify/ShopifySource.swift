package import Foundation
import Runtime
import Synchronization

/// One shop, read through the GraphQL Admin API.
package final class ShopifySource: MarketplaceSource {
    package let scope: SourceScope
    package let lag = Duration.seconds(5)
    let client: ShopifyClient
    private let mapping: Mutex<ShopifyMapping>
    private let bulk: ShopifyBulk

    /// Asks the shop for its currency and time zone.
    ///
    /// Throws `.schemaMismatch` when it names neither, and what a first request can throw.
    package init(client: ShopifyClient, accountID: String, country: String) async throws {
        self.client = client
        bulk = ShopifyBulk(client: client)
        scope = SourceScope(source: "shopify", accountID: accountID, scope: client.settings.shop, country: country)
        let shop = try await client.send(.shop, [:])["shop"]
        guard let currency = shop["currencyCode"].string,
            let zone = shop["ianaTimezone"].string.flatMap({ TimeZone(named: $0) })
        else {
            throw TallyError(.schemaMismatch, during: "shopify.shop", "the shop names no currency or no time zone")
        }
        mapping = Mutex(ShopifyMapping(shop: client.settings.shop, currency: currency, zone: zone))
    }

    package var aheadOfVendor: TimeInterval { client.clock.aheadBy }

    package func plan(_ pipeline: Pipeline) -> PipelinePlan {
        switch pipeline {
        case .products, .listings: PipelinePlan(overlap: .seconds(600), resumableFor: .hours(12), sweeps: true)
        case .sales:
            // A refund or return need not change its order's time at once.
            PipelinePlan(
                documents: .order,
                overlap: .seconds(600),
                resumableFor: .hours(12),
                deepReads: [
                    .init(name: "sales_14d", depth: .days(14), every: .days(1)),
                    .init(name: "sales_30d", depth: .days(30), every: .days(7)),
                ]
            )
        case .fees:
            PipelinePlan(
                documents: .fee,
                overlap: .hours(2),
                resumableFor: .hours(12),
                deepReads: [
                    .init(name: "fees_14d", depth: .days(14), every: .days(1)),
                    .init(name: "fees_30d", depth: .days(30), every: .days(7)),
                ]
            )
        }
    }

    package func page(_ pipeline: Pipeline, _ window: PullWindow, cursor: String?) async throws -> SourcePage {
        try await read(pipeline, window, cursor)
    }

    /// Without a bound: a product that is edited, or sold, while this goes on is there all the same.
    package func sweep(
        _ pipeline: Pipeline,
        _ retrying: PullRetrying,
        _ take: (MappedRows) async throws -> Void
    ) async throws {
        var cursor: String?
        repeat {
            let asked = cursor
            let page = try await retrying { try await read(pipeline, nil, asked) }
            try await take(page.rows)
            cursor = page.next
        } while cursor != nil
    }

    /// A page of a window, or of all there is.
    private func read(_ pipeline: Pipeline, _ window: PullWindow?, _ cursor: String?) async throws -> SourcePage {
        // A cursor is a phase and the vendor's own cursor: "v:" begins the second phase.
        let phase = cursor?.prefix { $0 != ":" }.description
        let after = cursor.map { String($0.drop { $0 != ":" }.dropFirst()) }.flatMap { $0.isEmpty ? nil : $0 }
        // All there is comes by a bulk operation: "k:" and where its result has been read to.
        if cursor == nil, window?.since == nil {
            let id = try await bulk.start(Self.bulkQuery(pipeline), until: window?.until)
            return SourcePage(rows: MappedRows(), next: "k:0@\(id)")
        }
        if phase == "k" { return try await bulkPage(pipeline, after ?? "") }
        switch (pipeline, phase ?? "a") {
        case (.products, "a"), (.listings, "a"):
            return try await products(pipeline, window, after)
        case (.products, _), (.listings, _): return try await variants(pipeline, window, after)
        case (.sales, _): return try await orders(window, after)
        case (.fees, "a"): return try await fees(window, after)
        case (.fees, _): return try await balance(window, after)
        }
    }

    /// The filter on change times. Quoted: unquoted, Shopify ignores the time of day.
    static func filter(_ field: String, _ window: PullWindow?) -> String? {
        guard let window else { return nil }
        let upper = "\(field):<='\(WireTime.text(window.until))'"
        return window.since.map { "\(field):>='\(WireTime.text($0))' \(upper)" } ?? upper
    }

    private func ask(_ query: ShopifyQuery, _ filter: String?, _ after: String?) async throws -> WireJSON {
        var variables: [String: JSONValue] = ["first": .int(client.pageSize(query))]
        if let filter { variables["query"] = .string(filter) }
        if let after { variables["after"] = .string(after) }
        return try await client.send(query, variables)
    }

    /// The cursor behind this page, or what begins the next phase.
    private static func next(_ connection: WireJSON, phase: String, then following: String? = nil) -> String? {
        guard connection["pageInfo"]["hasNextPage"].bool == true, let end = connection["pageInfo"]["endCursor"].string
        else { return following }
        return "\(phase):\(end)"
    }

    /// The nodes of a nested connection, with those beyond its first page.
    func drained(
        _ connection: WireJSON,
        _ query: ShopifyQuery,
        id: String?,
        size: Int = 100,
        _ path: (WireJSON) -> WireJSON
    ) async throws -> WireJSON {
        var nodes = connection.nodes
        var current = connection
        while current["pageInfo"]["hasNextPage"].bool == true, let end = current["pageInfo"]["endCursor"].string {
            let variables: [String: JSONValue] = [
                "id": .string(id ?? ""), "first": .int(size), "after": .string(end),
            ]
            current = path(try await client.send(query, variables))
            nodes += current.nodes
            guard nodes.count <= 100_000, !current.isNull else {
                throw TallyError(.limitExceeded, during: "shopify.page", "one object has too many parts")
            }
        }
        return .array(nodes)
    }

    // MARK: Pages

    private func products(_ pipeline: Pipeline, _ window: PullWindow?, _ after: String?) async throws -> SourcePage {
        let connection = try await ask(.products, Self.filter("updated_at", window), after)["products"]
        var rows = MappedRows()
        for product in connection.nodes { try await take(product: product, pipeline, &rows) }
        return SourcePage(rows: rows, next: Self.next(connection, phase: "a", then: "v:"))
    }

    private func take(product: WireJSON, _ pipeline: Pipeline, _ rows: inout MappedRows) async throws {
        let variants = try await drained(product["variants"], .variantsOfProduct, id: product["id"].string) {
            $0["product"]["variants"]
        }
        for variant in variants.nodes { take(variant, product, pipeline, &rows) }
    }

    private func variants(_ pipeline: Pipeline, _ window: PullWindow?, _ after: String?) async throws -> SourcePage {
        let connection = try await ask(.variants, Self.filter("updated_at", window), after)["productVariants"]
        var rows = MappedRows()
        for variant in connection.nodes { take(variant, variant["product"], pipeline, &rows) }
        return SourcePage(rows: rows, next: Self.next(connection, phase: "v"))
    }

    private func take(_ variant: WireJSON, _ product: WireJSON, _ pipeline: Pipeline, _ rows: inout MappedRows) {
        rows.records += 1
        let mapping = mapping.withLock { $0 }
        do {
            if pipeline == .products {
                rows.products.append(try mapping.product(variant: variant, of: product))
            } else {
                rows.listings.append(try mapping.listing(variant: variant, of: product))
            }
        } catch {
            let code = variant["id"].string
            let name = pipeline == .listings ? code.map { mapping.listingID($0) } : code
            rows.refused.append(RefusedRecord(key: name ?? "without id", error))
        }
    }

    private func orders(_ window: PullWindow?, _ after: String?) async throws -> SourcePage {
        let connection = try await ask(.orders, Self.filter("updated_at", window), after)["orders"]
        var rows = MappedRows()
        for node in connection.nodes { try await take(order: node, &rows) }
        return SourcePage(rows: rows, next: Self.next(connection, phase: "a"))
    }

    // MARK: Everything, and by id

    private static func bulkQuery(_ pipeline: Pipeline) -> ShopifyBulkQuery {
        switch pipeline {
        case .products, .listings: .products
        case .sales: .orders
        case .fees: .fees
        }
    }

    private func bulkPage(_ pipeline: Pipeline, _ cursor: String) async throws -> SourcePage {
        let parts = cursor.split(separator: "@", maxSplits: 1).map(String.init)
        guard parts.count == 2, let offset = Int(parts[0]) else { throw PageTokenExpired() }
        let page = try await bulk.page(parts[1], from: offset)
        var rows = MappedRows()
        var refunded: [String] = []
        for group in page.groups {
            switch pipeline {
            case .products, .listings: for variant in group.children { take(variant, group.root, pipeline, &rows) }
            case .sales:
                if let id = group.root["id"].string, Self.isTakenBack(group.root) {
                    refunded.append(id)
                } else {
                    let order = group.root.with("lineItems", .array(group.children))
                    take(order, &rows) { try $0.order(order) }
                }
            case .fees: try await take(feesOf: group.root, &rows)
            }
        }
        try await take(orders: refunded, &rows)
        let next: String?
        if let offset = page.next {
            next = "k:\(offset)@\(parts[1])"
        } else if !page.isComplete {
            // What was rescued of a failed operation is stored; page by page finds the rest.
            next = "a:"
        } else {
            next = pipeline == .fees ? "b:" : nil
        }
        return SourcePage(rows: rows, next: next)
    }

    /// Whether refunds or returns may be about the order.
    private static func isTakenBack(_ order: WireJSON) -> Bool {
        !order["refunds"].nodes.isEmpty || !["NO_RETURN", nil].contains(order["returnStatus"].string)
    }

    private func take(orders ids: [String], _ rows: inout MappedRows) async throws {
        for order in try await objects(.ordersByID, ids) { try await take(order: order, &rows) }
    }

    /// The objects that are there, some at a time: fewer after Shopify found a request too dear.
    private func objects(_ query: ShopifyQuery, _ ids: [String]) async throws -> [WireJSON] {
        var found: [WireJSON] = []
        var rest = ids[...]
        while !rest.isEmpty {
            let some = rest.prefix(client.pageSize(query))
            let answer = try await client.send(query, ["ids": .array(some.map { .string($0) })])
            found += answer["nodes"].nodes.filter { !$0.isNull }
            rest = rest.dropFirst(some.count)
        }
        return found
    }

    package func objects(_ pipeline: Pipeline, ids: [String]) async throws -> MappedRows {
        var rows = MappedRows()
        switch pipeline {
        case .sales: try await take(orders: ids, &rows)
        case .products, .listings:
            for product in try await objects(.productsByID, ids) {
                try await take(product: product, pipeline, &rows)
            }
        case .fees: break
        }
        return rows
    }

    private func fees(_ window: PullWindow?, _ after: String?) async throws -> SourcePage {
        let connection = try await ask(.fees, Self.filter("updated_at", window), after)["orders"]
        var rows = MappedRows()
        for order in connection.nodes { try await take(feesOf: order, &rows) }
        return SourcePage(rows: rows, next: Self.next(connection, phase: "a", then: "b:"))
    }

    /// Shops without Shopify Payments have no account: then there is nothing to read.
    private func balance(_ window: PullWindow?, _ after: String?) async throws -> SourcePage {
        let account = try await ask(.balance, Self.filter("processed_at", window), after)["shopifyPaymentsAccount"]
        let connection = account["balanceTransactions"]
        var rows = MappedRows()
        for transaction in connection.nodes { take(transaction, &rows) { try $0.fee(ofBalance: transaction) } }
        return SourcePage(rows: rows, next: Self.next(connection, phase: "b"))
    }

    func take(
        _ node: WireJSON,
        _ rows: inout MappedRows,
        _ map: (inout ShopifyMapping) throws -> DocumentRecord?
    ) {
        rows.records += 1
        do {
            if let document = try mapping.withLock({ try map(&$0) }) { rows.documents.append(document) }
        } catch {
            rows.refused.append(RefusedRecord(key: node["id"].string ?? "without id", error))
        }
    }
}
