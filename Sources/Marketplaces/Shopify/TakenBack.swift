import Foundation
import Runtime

/// What refunds and returns tell of one line of an order.
///
/// A return and the refund of the same goods are one event told twice, and a refund need not name its return. So goods
/// that came back count as far as they exceed what refunds tell of, and the two are never added up.
struct TakenBack {
    /// Units and money of the refund lines.
    private(set) var refundedUnits = 0
    private(set) var refunded = Decimal(0)
    /// Those of the refunded units that were cancelled before they were sent: no return is about them.
    private var unsentUnits = 0
    /// Units that came back, as returns tell.
    private var arrivedUnits = 0

    mutating func take(refunded units: Int, _ amount: Decimal, isUnsent: Bool) {
        refundedUnits += units
        refunded += amount
        if isUnsent { unsentUnits += units }
    }

    mutating func take(arrived units: Int) { arrivedUnits += units }

    /// Of `units` sold, those that came back and that no refund tells of: an exchange, or a refund still to come.
    func returnedUnits(of units: Int) -> Int {
        max(0, min(arrivedUnits - (refundedUnits - unsentUnits), units - refundedUnits))
    }

    /// What such units were sold for: their share of the line, never more than refunds have left of it.
    func returned(of units: Int, sold revenue: Decimal, digits: Int16) -> Decimal {
        let returned = returnedUnits(of: units)
        let left = max(0, revenue - refunded)
        guard returned > 0 else { return 0 }
        guard returned < units - refundedUnits else { return left }
        let share = NSDecimalNumber(decimal: revenue * Decimal(returned) / Decimal(units))
        let handler = NSDecimalNumberHandler(
            roundingMode: .plain,
            scale: digits,
            raiseOnExactness: false,
            raiseOnOverflow: false,
            raiseOnUnderflow: false,
            raiseOnDivideByZero: false
        )
        return min(left, share.rounding(accordingToBehavior: handler).decimalValue)
    }

    // MARK: Read from an order

    /// By line id, from the order's refunds and its returns.
    ///
    /// Of a return counts what was processed; one that was only asked for, declined or cancelled moved no goods. Items
    /// of a return that name no line of the order belong to none.
    static func byLine(of order: WireJSON, _ amount: (WireJSON) throws -> Decimal) throws -> [String: TakenBack] {
        var byLine: [String: TakenBack] = [:]
        for refund in order["refunds"].nodes {
            for item in refund["refundLineItems"].nodes {
                byLine[try line(item["lineItem"]), default: TakenBack()].take(
                    refunded: item["quantity"].int ?? 0,
                    try amount(item["subtotalSet"]["shopMoney"]),
                    isUnsent: item["restockType"].string?.uppercased() == "CANCEL"
                )
            }
        }
        for entry in order["returns"].nodes where ["OPEN", "CLOSED"].contains(entry["status"].string ?? "") {
            for item in entry["returnLineItems"].nodes where !item["fulfillmentLineItem"].isNull {
                guard let units = item["processedQuantity"].int, units >= 0 else {
                    throw TallyError(.recordMalformed, during: "shopify.map", "a returned line has no quantity")
                }
                byLine[try line(item["fulfillmentLineItem"]["lineItem"]), default: TakenBack()].take(arrived: units)
            }
        }
        return byLine
    }

    private static func line(_ node: WireJSON) throws -> String {
        guard let id = node["id"].string, !id.isEmpty else {
            throw TallyError(.recordMalformed, during: "shopify.map", "what was taken back names no line")
        }
        return id
    }
}
