import Crypto
import Foundation
import Runtime

/// Finances 2024-06-19: fees as leaves of recursive breakdowns, refunds as what they take back.
extension AmazonMapping {
    /// Whether a transaction belongs to this marketplace; one that names none belongs to the account's first.
    package func isOurs(_ transaction: WireJSON, isFirst: Bool) -> Bool {
        let named =
            transaction["marketplaceDetails"]["marketplaceId"].string
            ?? transaction["sellingPartnerMetadata"]["marketplaceId"].string
        return named.map { $0 == marketplace.id } ?? isFirst
    }

    /// The transaction's id, or a digest of what does not change when it is released: some have no id.
    ///
    /// `ordinal` tells apart those of equal content within one window.
    package static func identity(_ transaction: WireJSON, ordinal: (String) -> Int) -> String {
        if let id = transaction["transactionId"].string, !id.isEmpty { return id }
        guard case .object(var members) = transaction else { return "" }
        members["transactionStatus"] = nil
        members["description"] = nil
        members["contexts"] = without(members["contexts"]) {
            !$0["deferralReason"].isNull || !$0["maturityDate"].isNull
        }
        members["relatedIdentifiers"] = without(members["relatedIdentifiers"]) {
            [releaseOf, releasedAs].contains($0["relatedIdentifierName"].string)
        }
        var hasher = SHA256()
        hasher.update(data: Data(canonical(.object(members)).utf8))
        let digest = hasher.finalize().prefix(16).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
        let hash = "content:" + digest.joined()
        let number = ordinal(hash)
        return number == 0 ? hash : "\(hash)#\(number)"
    }

    private static let releaseOf = "DEFERRED_TRANSACTION_ID"
    private static let releasedAs = "RELEASE_TRANSACTION_ID"

    private static func without(_ list: WireJSON?, _ isDropped: (WireJSON) -> Bool) -> WireJSON? {
        guard let kept = list?.array?.filter({ !isDropped($0) }) else { return list }
        return kept.isEmpty ? nil : .array(kept)
    }

    /// Whether a transaction only releases a deferred one, which tells of the same money and stays where it was posted.
    private static func isRelease(_ transaction: WireJSON) -> Bool {
        (transaction["relatedIdentifiers"].array ?? []).contains { $0["relatedIdentifierName"].string == releaseOf }
    }

    /// Grows when a deferred transaction is released.
    private static func version(_ status: String?) -> Int64 {
        switch status?.uppercased() {
        case "DEFERRED": 1
        case "RELEASED": 2
        case "DEFERRED_RELEASED": 3
        default: 2
        }
    }

    private static func canonical(_ json: WireJSON) -> String {
        switch json {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .number(let text): text
        case .string(let text): JSONValue.string(text).text
        case .array(let elements): "[" + elements.map(canonical).joined(separator: ",") + "]"
        case .object(let members):
            "{"
                + members.sorted { $0.key < $1.key }.map { JSONValue.string($0.key).text + ":" + canonical($0.value) }
                .joined(separator: ",") + "}"
        }
    }

    private struct Leaf: Hashable {
        let path: [String]
        let amount: Decimal
    }

    /// The leaves of a breakdown tree; a node whose children do not add up to it leaves the rest as a leaf of its own.
    private func leaves(_ breakdowns: WireJSON, path: [String], depth: Int = 0) throws -> [Leaf] {
        guard depth < 16 else {
            throw TallyError(.recordMalformed, during: "amazon.map", "breakdowns are nested too deep")
        }
        // A node may be an array, or an object that wraps one.
        let nodes = breakdowns.array ?? breakdowns["breakdowns"].array ?? []
        return try nodes.flatMap { node -> [Leaf] in
            let here = path + [node["breakdownType"].string ?? "Other"]
            let amount = try amountOf(node["breakdownAmount"])
            let below = try leaves(node["breakdowns"], path: here, depth: depth + 1)
            let rest = amount - below.reduce(0) { $0 + $1.amount }
            return below + (rest == 0 && !below.isEmpty ? [] : [Leaf(path: here, amount: rest)])
        }
    }

    private func amountOf(_ json: WireJSON) throws -> Decimal {
        if json.isNull { return 0 }
        let money = try Money(json)
        guard money.currency == marketplace.currency else {
            throw TallyError(.recordMalformed, during: "amazon.map", "an amount is not in the marketplace's currency")
        }
        return money.amount
    }

    private static func isFee(_ path: [String]) -> Bool {
        path.contains { part in
            let word = part.lowercased().filter { $0.isLetter }
            return word == "expenses" || word.hasSuffix("fee") || word.hasSuffix("fees") || word.hasSuffix("commission")
        }
    }

    /// The fees of a transaction: of its items, then what its own breakdowns hold beyond those; nil for one that only
    /// releases another.
    package mutating func fees(_ transaction: WireJSON, id: String) throws -> DocumentRecord? {
        guard !Self.isRelease(transaction) else { return nil }
        let postedAt = try WireTime.parse(transaction["postedDate"].string)
        var lines: [LineRecord] = []
        var ofItems: [String: Decimal] = [:]
        for (index, item) in (transaction["items"].array ?? []).enumerated() {
            let product = Self.product(item)
            for (place, leaf) in try leaves(item["breakdowns"], path: []).enumerated() where Self.isFee(leaf.path) {
                let type = leaf.path.last ?? "Other"
                ofItems[type, default: 0] += leaf.amount
                if leaf.amount != 0 {
                    lines.append(fee("\(index)/\(place)/\(type)", type, leaf.amount, product, postedAt))
                }
            }
        }
        var own: [(type: String, amount: Decimal)] = []
        for leaf in try leaves(transaction["breakdowns"], path: []) where Self.isFee(leaf.path) {
            let type = leaf.path.last ?? "Other"
            if let at = own.firstIndex(where: { $0.type == type }) {
                own[at].amount += leaf.amount
            } else {
                own.append((type, leaf.amount))
            }
        }
        for (type, amount) in Self.beyond(ofItems, own) {
            lines.append(fee("-/\(type)", type, amount, Self.product(transaction), postedAt))
        }
        let type = transaction["transactionType"].string ?? ""
        if lines.isEmpty, own.isEmpty, Self.isFee([type]) {
            lines.append(fee("-/total", type, try amountOf(transaction["totalAmount"]), (nil, nil), postedAt))
        }
        return DocumentRecord(
            id: id,
            version: Self.version(transaction["transactionStatus"].string),
            status: (transaction["transactionStatus"].string ?? "posted").lowercased(),
            lines: lines
        )
    }

    /// What a transaction's own breakdowns say beyond those of its items: they repeat them, with the same types or
    /// summed up under others.
    private static func beyond(_ items: [String: Decimal], _ own: [(type: String, amount: Decimal)])
        -> [(type: String, amount: Decimal)]
    {
        let rest = own.reduce(0) { $0 + $1.amount } - items.values.reduce(0, +)
        guard !own.isEmpty, rest != 0 else { return [] }
        guard Set(own.map(\.type)).isSuperset(of: items.keys) else { return [("Other", rest)] }
        return own.map { ($0.type, $0.amount - (items[$0.type] ?? 0)) }.filter { $0.amount != 0 }
    }

    private static func product(_ holder: WireJSON) -> (code: String?, sku: String?) {
        let context = holder["contexts"].array?.first { !$0["asin"].isNull || !$0["sku"].isNull }
        let sku = context?["sku"].string
        return (context?["asin"].string ?? sku.map { "sku:\($0)" }, sku)
    }

    private mutating func fee(
        _ id: String,
        _ type: String,
        _ amount: Decimal,
        _ product: (code: String?, sku: String?),
        _ postedAt: Date
    ) -> LineRecord {
        .fee(
            LineRecord.FeeLine(
                id: id,
                productCode: product.code ?? "",
                sku: product.sku,
                day: day(of: postedAt),
                postedAt: postedAt,
                type: type,
                // Amazon writes what it takes with a minus.
                amount: -amount,
                currency: marketplace.currency
            )
        )
    }

    /// The document of a refund: the transaction's own id is that of its fees.
    static func refundID(_ id: String) -> String { "refund:\(id)" }

    /// What a refund takes back from sales, on the day of the sale when that is known, else on its own; nil for any
    /// other transaction.
    package mutating func refund(_ transaction: WireJSON, id: String) throws -> DocumentRecord? {
        guard transaction["transactionType"].string?.lowercased().contains("refund") == true,
            !Self.isRelease(transaction)
        else { return nil }
        let postedAt = try WireTime.parse(transaction["postedDate"].string)
        let day = day(of: postedAt)
        let order = transaction["relatedIdentifiers"].array?
            .first { $0["relatedIdentifierName"].string == "ORDER_ID" }?["relatedIdentifierValue"].string
        let lines = try (transaction["items"].array ?? []).enumerated().map { index, item -> LineRecord in
            let product = Self.product(item)
            let charges = try leaves(item["breakdowns"], path: []).filter {
                $0.path.contains { $0.lowercased().filter(\.isLetter) == "productcharges" }
            }
            let context = item["contexts"].array?.first { !$0["quantityShipped"].isNull }
            return .order(
                LineRecord.OrderLine(
                    id: "\(index)",
                    productCode: product.code ?? "unknown",
                    sku: product.sku,
                    day: day,
                    soldAt: postedAt,
                    units: 0,
                    unitsRefunded: abs(context?["quantityShipped"].int ?? 0),
                    revenue: 0,
                    refunded: abs(charges.reduce(0) { $0 + $1.amount }),
                    unitCost: nil,
                    currency: marketplace.currency,
                    refundOf: order
                )
            )
        }
        return DocumentRecord(
            id: Self.refundID(id),
            version: Self.version(transaction["transactionStatus"].string),
            status: "refunded",
            lines: lines
        )
    }
}
