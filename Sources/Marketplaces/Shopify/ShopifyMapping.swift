package import Foundation
import Runtime

/// Turns Shopify's objects into records: GraphQL nodes, and the older REST objects brought into the same shape.
package struct ShopifyMapping: Sendable {
    /// The shop's currency: every amount is its shop money.
    package let currency: String
    package let shop: String
    private var days: DayBuckets

    package init(shop: String, currency: String, zone: TimeZone) {
        self.shop = shop
        self.currency = currency
        days = DayBuckets(zone: zone)
    }

    // MARK: Products

    /// A variant of a product as a product of the unified table: what is sold is the variant.
    package func product(variant: WireJSON, of product: WireJSON) throws -> ProductRecord {
        let updated = try max(WireTime.parse(variant["updatedAt"].string), WireTime.parse(product["updatedAt"].string))
        var record = ProductRecord(code: try id(variant), updatedAt: updated)
        record.sku = variant["sku"].string.flatMap { $0.isEmpty ? nil : $0 }
        record.title = Self.title(product["title"].string, variant["title"].string)
        record.category = product["productType"].string.flatMap { $0.isEmpty ? nil : $0 }
        record.brand = product["vendor"].string
        record.currency = currency
        record.price = try variant["price"].text.map { try Money.decimal($0) }
        record.unitCost = try cost(variant)
        record.createdAt = try WireTime.parse(variant["createdAt"].string ?? product["createdAt"].string)
        return record
    }

    package func listing(variant: WireJSON, of product: WireJSON) throws -> ListingRecord {
        let updated = try max(WireTime.parse(variant["updatedAt"].string), WireTime.parse(product["updatedAt"].string))
        let code = try id(variant)
        var record = ListingRecord(
            id: listingID(code),
            productCode: code,
            status: product["status"].string?.lowercased() ?? "active",
            updatedAt: updated
        )
        record.sku = variant["sku"].string.flatMap { $0.isEmpty ? nil : $0 }
        record.url =
            product["onlineStoreUrl"].string ?? product["handle"].string.map { "https://\(shop)/products/\($0)" }
        return record
    }

    /// The listing of a variant.
    func listingID(_ code: String) -> String { "\(shop)/\(code)" }

    private static func title(_ product: String?, _ variant: String?) -> String? {
        guard let variant, variant != "Default Title", !variant.isEmpty else { return product }
        return product.map { "\($0) - \(variant)" } ?? variant
    }

    private func cost(_ variant: WireJSON) throws -> Decimal? {
        let cost = variant["inventoryItem"]["unitCost"]
        return cost.isNull ? nil : try amount(cost)
    }

    private func id(_ node: WireJSON) throws -> String {
        guard let id = node["id"].string, !id.isEmpty else {
            throw TallyError(.recordMalformed, during: "shopify.map", "an object has no id")
        }
        return id
    }

    /// Refuses another currency than the shop's: a day's row holds one.
    private func amount(_ json: WireJSON) throws -> Decimal {
        let money = try Money(json)
        guard money.currency == currency else {
            throw TallyError(.recordMalformed, during: "shopify.map", "an amount is not in the shop's currency")
        }
        return money.amount
    }

    // MARK: Orders

    /// An order with all its lines and refunds.
    ///
    /// Revenue is what the customer was charged for the goods: original price less the discounts allocated to the
    /// line. Refunds and returns reduce the line they are about, on the day of the sale. A cancelled order sold
    /// nothing; a test order has no lines.
    package mutating func order(_ order: WireJSON) throws -> DocumentRecord {
        let soldAt = try WireTime.parse(order["processedAt"].string ?? order["createdAt"].string)
        let version = WireTime.version(try WireTime.parse(order["updatedAt"].string))
        let isCancelled = order["cancelledAt"].string != nil
        let status = isCancelled ? "cancelled" : order["displayFinancialStatus"].string?.lowercased() ?? "open"
        var record = DocumentRecord(id: try id(order), version: version, status: status, lines: [])
        guard order["test"].bool != true else {
            record.status = "test"
            return record
        }
        let takenBack = try TakenBack.byLine(of: order) { try amount($0) }
        let day = days.day(of: soldAt)
        for node in order["lineItems"].nodes {
            let line = try id(node)
            guard let units = node["quantity"].int, units >= 0 else {
                throw TallyError(.recordMalformed, during: "shopify.map", "a line has no quantity")
            }
            let discount = try node["discountAllocations"].nodes.reduce(Decimal(0)) {
                try $0 + amount($1["allocatedAmountSet"]["shopMoney"])
            }
            let revenue = try amount(node["originalTotalSet"]["shopMoney"]) - discount
            // Nothing of a cancelled order was sold, so nothing of it can come back either.
            let back = isCancelled ? TakenBack() : takenBack[line] ?? TakenBack()
            let sku = node["sku"].string.flatMap { $0.isEmpty ? nil : $0 }
            record.lines.append(
                .order(
                    LineRecord.OrderLine(
                        id: line,
                        productCode: node["variant"]["id"].string ?? sku.map { "sku:\($0)" } ?? "custom",
                        sku: sku,
                        day: day,
                        soldAt: soldAt,
                        units: units,
                        unitsRefunded: isCancelled ? units : back.refundedUnits,
                        revenue: revenue,
                        refunded: isCancelled ? revenue : back.refunded,
                        unitsReturned: back.returnedUnits(of: units),
                        returned: back.returned(of: units, sold: revenue, digits: Money.digits(of: currency)),
                        unitCost: try cost(node["variant"]),
                        currency: currency
                    )
                )
            )
        }
        return record
    }

    // MARK: Fees

    /// What was charged for an order's payments. Only successful transactions count; tax on a fee is a fee of its own.
    package mutating func fees(ofOrder order: WireJSON) throws -> DocumentRecord {
        let version = WireTime.version(try WireTime.parse(order["updatedAt"].string))
        var record = DocumentRecord(id: try id(order), version: version, status: "charged", lines: [])
        guard order["test"].bool != true else { return record }
        for transaction in order["transactions"].nodes
        where transaction["test"].bool != true && transaction["status"].string?.uppercased() == "SUCCESS" {
            let postedAt = try WireTime.parse(transaction["processedAt"].string ?? transaction["createdAt"].string)
            for fee in transaction["fees"].nodes {
                let id = "\(try id(transaction))/\(try id(fee))"
                let type = fee["type"].string ?? "fee"
                record.lines.append(feeLine(id, type, try amount(fee["amount"]), postedAt))
                if !fee["taxAmount"].isNull, case let tax = try amount(fee["taxAmount"]), tax != 0 {
                    record.lines.append(feeLine("\(id)/tax", "\(type)_tax", tax, postedAt))
                }
            }
        }
        return record
    }

    /// A balance transaction of Shopify Payments that belongs to no order; those of orders are fees of the order.
    package mutating func fee(ofBalance transaction: WireJSON) throws -> DocumentRecord? {
        guard transaction["test"].bool != true, transaction["associatedOrder"].isNull else { return nil }
        let fee = try amount(transaction["fee"])
        guard fee != 0 else { return nil }
        let postedAt = try WireTime.parse(transaction["transactionDate"].string)
        let type = transaction["type"].string?.lowercased() ?? "fee"
        let id = try id(transaction)
        return DocumentRecord(
            id: id,
            version: WireTime.version(postedAt),
            status: "charged",
            lines: [feeLine(id, type, fee, postedAt)]
        )
    }

    private mutating func feeLine(_ id: String, _ type: String, _ amount: Decimal, _ postedAt: Date) -> LineRecord {
        .fee(
            LineRecord.FeeLine(
                id: id,
                productCode: "",
                sku: nil,
                day: days.day(of: postedAt),
                postedAt: postedAt,
                type: type,
                amount: amount,
                currency: currency
            )
        )
    }
}
