package import Foundation
import Runtime

/// What recorded REST bodies hold: products, orders with refunds, balance transactions, the shop itself.
package struct ShopifyArchive: Sendable {
    private var products: [WireJSON] = []
    private var orders: [WireJSON] = []
    private var refunds: [WireJSON] = []
    private var balance: [WireJSON] = []
    private var shop: WireJSON = .null
    /// Bodies that hold nothing of use, by their outermost member.
    package private(set) var ignored: [String: Int] = [:]

    package init() {}

    /// Takes one file: a body as the API gave it, a list of bodies, or one a line.
    ///
    /// Throws `.recordMalformed` when it is no JSON.
    package mutating func take(_ bytes: [UInt8]) throws {
        if let whole = try? WireJSON(parsing: bytes) {
            take(whole)
            return
        }
        for line in bytes.split(separator: 0x0A) where !line.allSatisfy({ $0 <= 0x20 }) {
            guard let body = try? WireJSON(parsing: Array(line)) else {
                throw TallyError(.recordMalformed, during: "shopify.import", "a file is neither JSON nor JSON lines")
            }
            take(body)
        }
    }

    private mutating func take(_ body: WireJSON) {
        if let list = body.array {
            for element in list { take(element) }
            return
        }
        for (name, value) in body.object ?? [:] {
            let entries = value.array ?? [value]
            switch name {
            case "products", "product": products += entries
            case "orders", "order": orders += entries
            case "refunds", "refund": refunds += entries
            case "shop": shop = value
            case "transactions": balance += entries.filter { $0["fee"].text != nil }
            default: ignored[name, default: 0] += entries.count
            }
        }
    }

    /// The currency that the archive itself names.
    package var currency: String? {
        shop["currency"].string ?? orders.lazy.compactMap { $0["currency"].string }.first
            ?? balance.lazy.compactMap { $0["currency"].string }.first
    }
    package var zone: TimeZone? { shop["iana_timezone"].string.flatMap { TimeZone(named: $0) } }
    package var shopName: String? { shop["myshopify_domain"].string }

    // MARK: Rows

    /// Products and their listings.
    package func catalogue(_ mapping: ShopifyMapping) -> MappedRows {
        var rows = MappedRows()
        for entry in products {
            let (product, variants) = ShopifyREST.product(entry)
            for variant in variants {
                rows.records += 1
                do {
                    rows.products.append(try mapping.product(variant: variant, of: product))
                    rows.listings.append(try mapping.listing(variant: variant, of: product))
                } catch {
                    rows.refused.append(RefusedRecord(key: variant["id"].string ?? "without id", error))
                }
            }
        }
        return rows
    }

    /// Orders; refunds that came in bodies of their own are added to theirs.
    package func sales(_ mapping: inout ShopifyMapping) -> MappedRows {
        var rows = MappedRows()
        let known = Set(orders.compactMap { $0["id"].text })
        let whole = Set(orders.filter { $0["line_items"].array != nil }.compactMap { $0["id"].text })
        for order in orders {
            rows.records += 1
            let id = order["id"].text ?? "without id"
            // Asked for with a few fields only: it says nothing about what was sold.
            if order["line_items"].array == nil {
                if !whole.contains(id) { rows.refused.append(RefusedRecord(key: id, reason: "it has no line items")) }
                continue
            }
            let own = Set((order["refunds"].array ?? []).compactMap { $0["id"].text })
            let others = refunds.filter { $0["order_id"].text == id && !own.contains($0["id"].text ?? "") }
            do {
                rows.documents.append(try mapping.order(try ShopifyREST.order(order, refunds: others)))
            } catch {
                rows.refused.append(RefusedRecord(key: id, error))
            }
        }
        for refund in refunds where !known.contains(refund["order_id"].text ?? "") {
            rows.records += 1
            let key = "refund \(refund["id"].text ?? "without id")"
            rows.refused.append(RefusedRecord(key: key, reason: "its order is in none of the files"))
        }
        return rows
    }

    /// Fees of balance transactions. Those of an order become the order's document in its oldest version: a pull
    /// through GraphQL, which names them one by one, replaces it.
    package func fees(_ mapping: inout ShopifyMapping) -> MappedRows {
        var rows = MappedRows()
        var ofOrder: [String: DocumentRecord] = [:]
        for entry in balance {
            rows.records += 1
            let transaction = ShopifyREST.balance(entry)
            let order = transaction["associatedOrder"]["id"].string
            do {
                let alone = transaction.with("associatedOrder", .null)
                guard let document = try mapping.fee(ofBalance: alone) else { continue }
                if let order {
                    var whole = ofOrder[order] ?? DocumentRecord(id: order, version: 0, status: "charged", lines: [])
                    whole.lines += document.lines
                    ofOrder[order] = whole
                } else {
                    rows.documents.append(document)
                }
            } catch {
                rows.refused.append(RefusedRecord(key: entry["id"].text ?? "without id", error))
            }
        }
        rows.documents += ofOrder.values.sorted { $0.id < $1.id }
        return rows
    }
}
