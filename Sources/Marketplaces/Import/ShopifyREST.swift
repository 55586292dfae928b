import Foundation
import Runtime

/// Brings objects of the older REST API into the shape of GraphQL, which the mapping reads.
enum ShopifyREST {
    private static func gid(_ kind: String, _ json: WireJSON) -> WireJSON {
        json.text.map { .string("gid://shopify/\(kind)/\($0)") } ?? .null
    }

    private static func money(_ amount: Decimal, _ currency: WireJSON) -> WireJSON {
        .object(["shopMoney": .object(["amount": .string(amount.exactText), "currencyCode": currency])])
    }

    /// The shop's money of `<name>_set`, else the bare amount, which is the shop's too.
    private static func amount(_ json: WireJSON, _ name: String) throws -> Decimal? {
        let text = json["\(name)_set"]["shop_money"]["amount"].text ?? json[name].text
        return try text.map { try Money.decimal($0) }
    }

    static func order(_ order: WireJSON, refunds others: [WireJSON] = []) throws -> WireJSON {
        let currency = order["currency"]
        let lines = try (order["line_items"].array ?? []).map { try line($0, currency) }
        let refunds = try ((order["refunds"].array ?? []) + others).map { try refund($0, currency) }
        return .object([
            "id": gid("Order", order["id"]), "createdAt": order["created_at"], "processedAt": order["processed_at"],
            "updatedAt": order["updated_at"], "cancelledAt": order["cancelled_at"], "test": order["test"],
            "displayFinancialStatus": order["financial_status"], "lineItems": .array(lines),
            "refunds": .array(refunds),
        ])
    }

    private static func line(_ line: WireJSON, _ currency: WireJSON) throws -> WireJSON {
        guard let price = try amount(line, "price"), let quantity = line["quantity"].int else {
            throw TallyError(.recordMalformed, during: "shopify.import", "a line has no price or no quantity")
        }
        var discounts = try (line["discount_allocations"].array ?? []).map { allocation -> WireJSON in
            .object(["allocatedAmountSet": money(try amount(allocation, "amount") ?? 0, currency)])
        }
        if discounts.isEmpty, let total = try amount(line, "total_discount"), total != 0 {
            discounts = [.object(["allocatedAmountSet": money(total, currency)])]
        }
        let variant: WireJSON =
            line["variant_id"].isNull ? .null : .object(["id": gid("ProductVariant", line["variant_id"])])
        return .object([
            "id": gid("LineItem", line["id"]), "quantity": line["quantity"], "sku": line["sku"],
            "title": line["title"], "originalTotalSet": money(price * Decimal(quantity), currency),
            "discountAllocations": .array(discounts), "variant": variant,
        ])
    }

    private static func refund(_ refund: WireJSON, _ currency: WireJSON) throws -> WireJSON {
        let items = try (refund["refund_line_items"].array ?? []).map { item -> WireJSON in
            let subtotal: Decimal
            if let stated = try amount(item, "subtotal") {
                subtotal = stated
            } else {
                // Before 2016 refunds had no subtotal: it is the line's price for what came back.
                guard let price = try amount(item["line_item"], "price"), let quantity = item["quantity"].int else {
                    throw TallyError(.recordMalformed, during: "shopify.import", "a refunded line has no amount")
                }
                subtotal = price * Decimal(quantity)
            }
            return .object([
                "quantity": item["quantity"], "restockType": item["restock_type"],
                "subtotalSet": money(subtotal, currency),
                "lineItem": .object(["id": gid("LineItem", item["line_item_id"])]),
            ])
        }
        return .object(["id": gid("Refund", refund["id"]), "refundLineItems": .array(items)])
    }

    /// A product with its variants as `(product, variants)`.
    static func product(_ product: WireJSON) -> (product: WireJSON, variants: [WireJSON]) {
        let variants = (product["variants"].array ?? []).map { variant -> WireJSON in
            .object([
                "id": gid("ProductVariant", variant["id"]), "sku": variant["sku"], "title": variant["title"],
                "price": variant["price"], "createdAt": variant["created_at"], "updatedAt": variant["updated_at"],
            ])
        }
        let whole = WireJSON.object([
            "id": gid("Product", product["id"]), "title": product["title"], "vendor": product["vendor"],
            "productType": product["product_type"], "status": product["status"], "handle": product["handle"],
            "createdAt": product["created_at"], "updatedAt": product["updated_at"],
        ])
        return (whole, variants)
    }

    /// A balance transaction of Shopify Payments.
    static func balance(_ transaction: WireJSON) -> WireJSON {
        let order = transaction["source_order_id"]
        return .object([
            "id": gid("ShopifyPaymentsBalanceTransaction", transaction["id"]), "type": transaction["type"],
            "transactionDate": transaction["processed_at"], "test": transaction["test"],
            "fee": .object(["amount": transaction["fee"], "currencyCode": transaction["currency"]]),
            "associatedOrder": order.isNull ? .null : .object(["id": gid("Order", order)]),
        ])
    }
}
