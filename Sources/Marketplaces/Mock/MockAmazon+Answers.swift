import Foundation
import Runtime

/// The bodies of the mock's answers; nil refuses the request.
extension MockAmazon {
    private func text(_ value: String) -> String { JSONValue.string(value).text }
    private func instant(_ date: Date) -> String { "\"\(WireTime.text(date))\"" }

    /// Money in the currency's own digits: yen have no cents.
    private func amount(_ cents: Int, _ trade: MockTrade) -> String {
        "{\"amount\":\"\(MockTrade.money(cents))\",\"currencyCode\":\"\(trade.currency)\"}"
    }

    /// Finances write money as a JSON number.
    private func number(_ cents: Int, _ trade: MockTrade) -> String {
        "{\"currencyAmount\":\(MockTrade.money(cents)),\"currencyCode\":\"\(trade.currency)\"}"
    }

    // MARK: Orders

    func orders(_ asked: MockAmazonRequest) -> String? {
        guard let trade = trades[asked.marketplace], let offset = asked.offset,
            let after = asked.instant("lastUpdatedAfter"), let before = asked.instant("lastUpdatedBefore"),
            before <= asked.now.addingTimeInterval(-120)
        else { return nil }
        let size = min(100, asked["maxResultsPerPage"].flatMap { Int($0) } ?? 100)
        let early = after.addingTimeInterval(-MockTrade.changesFor).timeIntervalSince(trade.epoch)
        var at = max(offset, Int(early / Double(trade.orderEvery)))
        let count = trade.orders(at: asked.now)
        var found: [String] = []
        while at < count, found.count < size {
            if let order = trade.order(at, at: asked.now), order.updatedAt >= after, order.updatedAt <= before {
                found.append(self.order(order, trade, asked.marketplace))
            }
            at += 1
        }
        let next = at < count ? "{\"nextToken\":\"\(asked.token(at: at))\"}" : "{}"
        return "{\"orders\":[\(found.joined(separator: ","))],\"pagination\":\(next)}"
    }

    static func orderID(_ number: Int) -> String {
        let digits = String(number + 1)
        return "028-" + String(repeating: "0", count: max(0, 7 - digits.count)) + digits + "-0000001"
    }

    private func order(_ order: MockTrade.Order, _ trade: MockTrade, _ marketplace: String) -> String {
        let items = order.lines.map { line in
            let discount =
                line.discountCents == 0
                ? "" : ",{\"type\":\"DISCOUNT\",\"subtotal\":\(amount(-line.discountCents, trade))}"
            return """
                {"orderItemId":"\(order.number * 10 + line.number + 1)","quantityOrdered":\(line.units),\
                "product":{"asin":"\(Self.asin(line.variant))","title":\(text(line.variant.title)),\
                "sellerSku":"\(line.variant.sku)","price":{"unitPrice":\(amount(line.variant.priceCents, trade))}},\
                "proceeds":{"proceedsTotal":\(amount(line.netCents, trade)),"breakdowns":[{"type":"ITEM",\
                "subtotal":\(amount(line.grossCents, trade))},{"type":"SHIPPING","subtotal":\(amount(499, trade))}\
                \(discount)]}}
                """
        }
        return """
            {"orderId":"\(Self.orderID(order.number))","createdTime":\(instant(order.placedAt)),\
            "lastUpdatedTime":\(instant(order.updatedAt)),"salesChannel":{"channelName":"AMAZON",\
            "marketplaceId":"\(marketplace)"},"fulfillment":{"fulfillmentStatus":\
            "\(order.cancelledAt == nil ? "SHIPPED" : "CANCELLED")","fulfilledBy":"AMAZON"},\
            "orderItems":[\(items.joined(separator: ","))]}
            """
    }

    // MARK: Finances

    /// Each order's charge a minute after it, its refund on the fifth day.
    func transactions(_ asked: MockAmazonRequest) -> String? {
        guard let offset = asked.offset, let after = asked.instant("postedAfter"),
            let before = asked.instant("postedBefore"), before <= asked.now.addingTimeInterval(-120)
        else { return nil }
        // Longer windows come back empty, without an error.
        guard before.timeIntervalSince(after) <= 180 * 86_400 else { return "{\"payload\":{\"transactions\":[]}}" }
        let markets = trades.sorted { $0.key < $1.key }
        var found: [String] = []
        var at = offset
        var next: String?
        for (index, entry) in markets.enumerated() {
            let base = index * 1_000_000_000
            guard at < base + 1_000_000_000 else { continue }
            let early = after.addingTimeInterval(-MockTrade.changesFor).timeIntervalSince(entry.value.epoch)
            var number = max(max(at, base) - base, Int(early / Double(entry.value.orderEvery)))
            let count = entry.value.orders(at: before)
            while number < count, found.count < 100 {
                found += self.transactions(of: number, entry.value, entry.key, asked.now, after..<before)
                number += 1
            }
            if number < count {
                next = asked.token(at: base + number)
                break
            }
            at = base + 1_000_000_000
        }
        // The first of several pages is empty, with a token: the real one does that now and then.
        if next != nil, asked.token == nil { (found, next) = ([], asked.token(at: offset)) }
        let tail = next.map { ",\"nextToken\":\"\($0)\"" } ?? ""
        return "{\"payload\":{\"transactions\":[\(found.joined(separator: ","))]\(tail)}}"
    }

    private func transactions(
        of number: Int,
        _ trade: MockTrade,
        _ marketplace: String,
        _ now: Date,
        _ window: Range<Date>
    ) -> [String] {
        guard let order = trade.order(number, at: now) else { return [] }
        var found: [String] = []
        let charged = order.placedAt.addingTimeInterval(60)
        if order.feeCents > 0, window.contains(charged) {
            found.append(transaction(order, trade, marketplace, "Shipment", charged, now))
        }
        // Some are released by a transaction of their own, which tells of the same money again.
        let released = charged.addingTimeInterval(Self.deferral)
        if Self.hasRelease(order), order.feeCents > 0, window.contains(released) {
            found.append(transaction(order, trade, marketplace, "Shipment", released, now, isRelease: true))
        }
        let refunded = trade.refundedAt(order.number)
        if order.cancelledAt == nil, order.lines.contains(where: { $0.refundedUnits > 0 }), window.contains(refunded) {
            found.append(transaction(order, trade, marketplace, "Refund", refunded, now))
        }
        return found
    }

    private func transaction(
        _ order: MockTrade.Order,
        _ trade: MockTrade,
        _ marketplace: String,
        _ type: String,
        _ posted: Date,
        _ now: Date,
        isRelease: Bool = false
    ) -> String {
        let isRefund = type == "Refund"
        // Some of Amazon's transactions have no id.
        let own = "\(type)-\(marketplace)-\(order.number)"
        let id = order.number % 5 == 0 ? "" : "\"transactionId\":\"\(own)\(isRelease ? "-release" : "")\","
        let isDeferred = !isRelease && now.timeIntervalSince(posted) < Self.deferral
        var status = isDeferred ? "DEFERRED" : "RELEASED"
        var related = ""
        if Self.hasRelease(order), !isRefund, !isDeferred {
            let other = isRelease ? "DEFERRED_TRANSACTION_ID" : "RELEASE_TRANSACTION_ID"
            status = isRelease ? "RELEASED" : "DEFERRED_RELEASED"
            related = """
                ,{"relatedIdentifierName":"\(other)","relatedIdentifierValue":"\(own)\(isRelease ? "" : "-release")"}
                """
        }
        let lines = order.lines.filter { !isRefund || $0.refundedUnits > 0 }
        let items = lines.map { line in
            let charge = isRefund ? -line.refundedCents : line.netCents
            let fee = isRefund || line.number != 0 ? "" : ",\(fees(order, trade))"
            return """
                {"description":"item","contexts":[{"contextType":"ProductContext","asin":"\(Self.asin(line.variant))",\
                "sku":"\(line.variant.sku)","quantityShipped":\(isRefund ? line.refundedUnits : line.units),\
                "fulfillmentNetwork":"AFN"}],"breakdowns":[{"breakdownType":"ProductCharges",\
                "breakdownAmount":\(number(charge, trade)),"breakdowns":[{"breakdownType":"OurPricePrincipal",\
                "breakdownAmount":\(number(charge, trade))}]}\(fee)]}
                """
        }
        return """
            {\(id)"sellingPartnerMetadata":{"sellingPartnerId":"\(sellerID)","accountType":"STANDARD",\
            "marketplaceId":"\(marketplace)"},"marketplaceDetails":{"marketplaceId":"\(marketplace)"},\
            "relatedIdentifiers":[{"relatedIdentifierName":"ORDER_ID","relatedIdentifierValue":\
            "\(Self.orderID(order.number))"}\(related)],"transactionType":"\(type)","transactionStatus":"\(status)",\
            "description":"Order Payment","postedDate":\(instant(posted)),\
            "items":[\(items.joined(separator: ","))],\
            "breakdowns":[\(isRefund ? "" : fees(order, trade))]}
            """
    }

    private static let deferral: TimeInterval = 4 * 86_400

    /// Those without id do not tell of their release.
    private static func hasRelease(_ order: MockTrade.Order) -> Bool { order.number % 5 != 0 && order.number % 3 == 1 }

    private func fees(_ order: MockTrade.Order, _ trade: MockTrade) -> String {
        """
        {"breakdownType":"Expenses","breakdownAmount":\(number(-order.feeCents, trade)),"breakdowns":[\
        {"breakdownType":"AmazonFees","breakdownAmount":\(number(-order.feeCents, trade)),"breakdowns":[\
        {"breakdownType":"Commission","breakdownAmount":\(number(-order.feeCents, trade)),"breakdowns":[]}]}]}
        """
    }

    // MARK: Listings, catalogue, metrics

    private func variants(_ trade: MockTrade, _ now: Date) -> [MockTrade.Variant] {
        (0..<trade.products(at: now)).flatMap { product in
            (0..<trade.variantCount(of: product)).map { trade.variant($0, of: product, at: now) }
        }
    }

    func listings(_ asked: MockAmazonRequest) -> String? {
        guard let trade = trades[asked.marketplace], let offset = asked.offset else { return nil }
        let (after, before) = (asked.instant("lastUpdatedAfter"), asked.instant("lastUpdatedBefore"))
        let held = variants(trade, asked.now).filter { variant in
            (after.map { variant.updatedAt >= $0 } ?? true) && (before.map { variant.updatedAt <= $0 } ?? true)
        }
        let page = held.dropFirst(offset).prefix(min(listingsPageMax, asked["pageSize"].flatMap { Int($0) } ?? 10))
        let items = page.map { variant in
            """
            {"sku":"\(variant.sku)","summaries":[{"marketplaceId":"\(asked.marketplace)",\
            "asin":"\(Self.asin(variant))","productType":"WARE","status":["BUYABLE","DISCOVERABLE"],\
            "itemName":\(text(variant.title)),"createdDate":\(instant(variant.createdAt)),\
            "lastUpdatedDate":\(instant(variant.updatedAt))}],"offers":[{"marketplaceId":"\(asked.marketplace)",\
            "offerType":"B2C","price":\(amount(variant.priceCents, trade))}]}
            """
        }
        let next = offset + page.count
        let pagination = next < held.count ? "{\"nextToken\":\"\(asked.token(at: next))\"}" : "{}"
        return """
            {"numberOfResults":\(held.count),"pagination":\(pagination),"items":[\(items.joined(separator: ","))]}
            """
    }

    func catalog(_ asked: MockAmazonRequest) -> String? {
        guard let trade = trades[asked.marketplace], let text = asked["identifiers"] else { return nil }
        let wanted = Set(text.split(separator: ",").map(String.init))
        guard wanted.count <= 20 else { return nil }
        let items = variants(trade, asked.now).filter { wanted.contains(Self.asin($0)) }.map { variant in
            """
            {"asin":"\(Self.asin(variant))","summaries":[{"marketplaceId":"\(asked.marketplace)",\
            "itemName":\(self.text(variant.title)),"brand":\(self.text(variant.brand)),\
            "browseClassification":{"displayName":"\(variant.category)","classificationId":"1"}}]}
            """
        }
        return "{\"numberOfResults\":\(items.count),\"items\":[\(items.joined(separator: ","))]}"
    }

    /// What was ordered and not cancelled, before refunds, by day of the zone asked for.
    func metrics(_ asked: MockAmazonRequest) -> String? {
        let bounds = (asked["interval"] ?? "").components(separatedBy: "--").compactMap(WireTime.instant)
        guard let trade = trades[asked.marketplace], bounds.count == 2, asked["granularity"] == "Day",
            let zone = asked["granularityTimeZone"].flatMap({ TimeZone(named: $0) })
        else { return nil }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone
        var days: [String] = []
        var day = bounds[0]
        while day < bounds[1] {
            guard let next = calendar.date(byAdding: .day, value: 1, to: day) else { return nil }
            let first = max(0, Int(day.timeIntervalSince(trade.epoch) / Double(trade.orderEvery)) - 1)
            let end = trade.orders(at: min(next, asked.now))
            let orders = (min(first, end)..<end).compactMap { trade.order($0, at: asked.now) }
                .filter { $0.placedAt >= day && $0.placedAt < next && $0.cancelledAt == nil }
            let lines = orders.flatMap(\.lines)
            days.append(
                """
                {"interval":"\(WireTime.text(day))--\(WireTime.text(next))","orderCount":\(orders.count),\
                "orderItemCount":\(lines.count),"unitCount":\(lines.reduce(0) { $0 + $1.units }),\
                "totalSales":\(amount(lines.reduce(0) { $0 + $1.netCents }, trade))}
                """
            )
            day = next
        }
        return "{\"payload\":[\(days.joined(separator: ","))]}"
    }
}
