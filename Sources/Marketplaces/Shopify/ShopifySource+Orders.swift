import Foundation
import Runtime

/// Orders with all that belongs to them: what does not fit into a page is asked for, what cannot be read is refused.
extension ShopifySource {
    func take(order node: WireJSON, _ rows: inout MappedRows) async throws {
        try await take(node, &rows, whole) { try $0.order($1) }
    }

    /// What cannot be read whole is refused, as what cannot be mapped is.
    private func take(
        _ node: WireJSON,
        _ rows: inout MappedRows,
        _ complete: (WireJSON) async throws -> WireJSON,
        _ map: (inout ShopifyMapping, WireJSON) throws -> DocumentRecord?
    ) async throws {
        let order: WireJSON
        do {
            order = try await complete(node)
        } catch let error as TallyError where error.kind == .recordMalformed {
            rows.records += 1
            rows.refused.append(RefusedRecord(key: node["id"].string ?? "without id", error))
            return
        }
        take(order, &rows) { try map(&$0, order) }
    }

    /// All entries of a list that has no pages: one as long as was asked for is asked for once more, at the greatest
    /// length that Shopify gives.
    ///
    /// Throws `.recordMalformed` when that is full too: what lies beyond it cannot be read.
    private func whole(_ list: WireJSON, of order: WireJSON, _ query: ShopifyQuery, asked: Int, _ name: String)
        async throws -> [WireJSON]
    {
        guard list.nodes.count >= asked else { return list.nodes }
        let answer = try await client.send(query, ["id": .string(order["id"].string ?? "")])
        let all = answer["order"][name].nodes
        guard all.count >= list.nodes.count, all.count < ShopifyQuery.listMax else {
            throw TallyError(.recordMalformed, during: "shopify.page", "an order has more \(name) than can be read")
        }
        return all
    }

    /// The order with the lines of it, of its refunds and of its returns that did not fit into the page.
    private func whole(_ order: WireJSON) async throws -> WireJSON {
        guard case .object(var members) = order else { return order }
        members["lineItems"] = try await drained(order["lineItems"], .linesOfOrder, id: order["id"].string) {
            $0["order"]["lineItems"]
        }
        var refunds: [WireJSON] = []
        let known = order["refunds"]
        for refund in try await whole(known, of: order, .refundsOfOrder, asked: ShopifyQuery.refunds, "refunds") {
            guard case .object(var parts) = refund else { continue }
            let lines = try await refundLines(refund)
            parts["refundLineItems"] = lines
            refunds.append(.object(parts))
        }
        members["refunds"] = .array(refunds)
        members["returns"] = try await returns(of: order)
        return .object(members)
    }

    /// A refund of a long list comes without its lines.
    private func refundLines(_ refund: WireJSON) async throws -> WireJSON {
        var lines = refund["refundLineItems"]
        if lines.isNull {
            let variables: [String: JSONValue] = ["id": .string(refund["id"].string ?? ""), "first": 100]
            lines = try await client.send(.linesOfRefund, variables)["refund"]["refundLineItems"]
        }
        return try await drained(lines, .linesOfRefund, id: refund["id"].string) { $0["refund"]["refundLineItems"] }
    }

    private func returns(of order: WireJSON) async throws -> WireJSON {
        let some = try await drained(order["returns"], .returnsOfOrder, id: order["id"].string, size: 20) {
            $0["order"]["returns"]
        }
        var whole: [WireJSON] = []
        for entry in some.nodes {
            let lines = try await drained(entry["returnLineItems"], .linesOfReturn, id: entry["id"].string) {
                $0["return"]["returnLineItems"]
            }
            whole.append(entry.with("returnLineItems", lines))
        }
        return .array(whole)
    }

    func take(feesOf node: WireJSON, _ rows: inout MappedRows) async throws {
        try await take(node, &rows, withTransactions) { try $0.fees(ofOrder: $1) }
    }

    private func withTransactions(_ order: WireJSON) async throws -> WireJSON {
        let some = order["transactions"]
        let asked = ShopifyQuery.transactions
        return order.with(
            "transactions",
            .array(try await whole(some, of: order, .transactionsOfOrder, asked: asked, "transactions"))
        )
    }
}
