import Foundation
import Runtime

/// Turns the Selling Partner API's objects into records of one marketplace.
package struct AmazonMapping: Sendable {
    package let marketplace: AmazonMarketplace
    package let sellerID: String
    private var days: DayBuckets

    package init(marketplace: AmazonMarketplace, sellerID: String) {
        self.marketplace = marketplace
        self.sellerID = sellerID
        days = DayBuckets(zone: marketplace.zone)
    }

    mutating func day(of date: Date) -> Date { days.day(of: date) }

    private func amount(_ json: WireJSON) throws -> Decimal {
        let money = try Money(json)
        guard money.currency == marketplace.currency else {
            throw TallyError(.recordMalformed, during: "amazon.map", "an amount is not in the marketplace's currency")
        }
        return money.amount
    }

    // MARK: Listings and products

    /// The listing of an item in this marketplace; nil when it has none here.
    package func listing(_ item: WireJSON) throws -> ListingRecord? {
        guard let summary = summary(item) else { return nil }
        guard let sku = item["sku"].string, !sku.isEmpty else {
            throw TallyError(.recordMalformed, during: "amazon.map", "a listing has no SKU")
        }
        let asin = summary["asin"].string
        let states = summary["status"].array?.compactMap { $0.string?.lowercased() } ?? []
        var listing = ListingRecord(
            id: listingID(sku),
            productCode: asin ?? "sku:\(sku)",
            status: states.contains("buyable") ? "active" : states.contains("discoverable") ? "inactive" : "incomplete",
            updatedAt: try WireTime.parse(summary["lastUpdatedDate"].string)
        )
        listing.sku = sku
        listing.asin = asin
        listing.url = asin.map { "https://www.amazon.\(Self.domain(marketplace.country))/dp/\($0)" }
        return listing
    }

    /// The id under which an item's record comes, also when that cannot be made of it.
    func name(_ pipeline: Pipeline, of item: WireJSON) -> String {
        guard let sku = item["sku"].string, !sku.isEmpty else { return "without SKU" }
        guard pipeline == .products else { return listingID(sku) }
        return summary(item)?["asin"].string ?? "sku:\(sku)"
    }

    func listingID(_ sku: String) -> String { "\(sellerID)/\(marketplace.id)/\(sku)" }

    private func summary(_ item: WireJSON) -> WireJSON? {
        item["summaries"].array?.first { $0["marketplaceId"].string == marketplace.id }
    }

    /// What a listing and the catalogue's item say together; the catalogue may lack the item.
    package func product(listing item: WireJSON, catalog: WireJSON?) throws -> ProductRecord? {
        guard let summary = summary(item) else { return nil }
        guard let sku = item["sku"].string, !sku.isEmpty else {
            throw TallyError(.recordMalformed, during: "amazon.map", "a listing has no SKU")
        }
        let updated = try WireTime.parse(summary["lastUpdatedDate"].string)
        let asin = summary["asin"].string
        var product = ProductRecord(code: asin ?? "sku:\(sku)", updatedAt: updated)
        let known = catalog?["summaries"].array?.first { $0["marketplaceId"].string == marketplace.id }
        product.sku = sku
        product.asin = asin
        product.title = known?["itemName"].string ?? summary["itemName"].string
        product.brand = known?["brand"].string ?? known?["brandName"].string
        product.category =
            known?["browseClassification"]["displayName"].string ?? known?["itemClassification"].string
            ?? summary["productType"].string
        product.currency = marketplace.currency
        let offer = item["offers"].array?.first { $0["marketplaceId"].string == marketplace.id }
        if let offer, !offer["price"].isNull { product.price = try amount(offer["price"]) }
        product.createdAt = try summary["createdDate"].string.map { try WireTime.parse($0) }
        return product
    }

    // MARK: Orders

    /// An order of Orders 2026-01-01; nil when it belongs to another marketplace.
    ///
    /// Revenue is the item price less discounts: shipping and tax are not the product's. A cancelled order sold
    /// nothing. Orders still pending may have no price yet: their lines come with no revenue until they have.
    package mutating func order(_ order: WireJSON) throws -> DocumentRecord? {
        if let other = order["salesChannel"]["marketplaceId"].string, other != marketplace.id { return nil }
        guard let id = order["orderId"].string, !id.isEmpty else {
            throw TallyError(.recordMalformed, during: "amazon.map", "an order has no id")
        }
        let soldAt = try WireTime.parse(order["createdTime"].string)
        let version = WireTime.version(try WireTime.parse(order["lastUpdatedTime"].string))
        let status = order["fulfillment"]["fulfillmentStatus"].string ?? "UNKNOWN"
        let day = days.day(of: soldAt)
        let lines = try (order["orderItems"].array ?? []).map { item -> LineRecord in
            guard let line = item["orderItemId"].text, let units = item["quantityOrdered"].int, units >= 0 else {
                throw TallyError(.recordMalformed, during: "amazon.map", "an order item has no id or quantity")
            }
            let product = item["product"]
            let sku = product["sellerSku"].string
            let revenue = try revenue(item, units: units)
            let isCancelled = status == "CANCELLED"
            return .order(
                LineRecord.OrderLine(
                    id: line,
                    productCode: product["asin"].string ?? sku.map { "sku:\($0)" } ?? "unknown",
                    sku: sku,
                    day: day,
                    soldAt: soldAt,
                    units: units,
                    unitsRefunded: isCancelled ? units : 0,
                    revenue: revenue,
                    refunded: isCancelled ? revenue : 0,
                    unitCost: nil,
                    currency: marketplace.currency
                )
            )
        }
        return DocumentRecord(id: id, version: version, status: status.lowercased(), lines: lines)
    }

    private func revenue(_ item: WireJSON, units: Int) throws -> Decimal {
        let parts = item["proceeds"]["breakdowns"].array ?? []
        guard parts.contains(where: { $0["type"].string == "ITEM" }) else {
            let price = item["product"]["price"]["unitPrice"]
            return price.isNull ? 0 : try amount(price) * Decimal(units)
        }
        return try parts.reduce(Decimal(0)) { sum, part in
            switch part["type"].string {
            case "ITEM": try sum + amount(part["subtotal"])
            // Written with either sign; a discount always takes off.
            case "DISCOUNT": try sum - abs(amount(part["subtotal"]))
            default: sum
            }
        }
    }

    /// One interval of the order metrics.
    package static func control(_ entry: WireJSON, currency: String) throws -> ControlTotal {
        let money = try Money(entry["totalSales"])
        guard let units = entry["unitCount"].int, money.currency == currency else {
            throw TallyError(
                .recordMalformed,
                during: "amazon.map",
                "order metrics are not in the marketplace's currency"
            )
        }
        let start = entry["interval"].string?.components(separatedBy: "--").first
        return ControlTotal(day: try WireTime.parse(start), units: units, revenue: money.amount)
    }

    private static func domain(_ country: String) -> String {
        switch country {
        case "US": "com"
        case "UK": "co.uk"
        case "JP": "co.jp"
        case "AU", "BR", "MX", "TR", "SG", "BE": "com.\(country.lowercased())"
        case "ZA": "co.za"
        default: country.lowercased()
        }
    }
}
