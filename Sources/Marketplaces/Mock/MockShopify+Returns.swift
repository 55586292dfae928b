/// Returns of the mock's orders: one at most, of the first two lines.
extension MockShopify {
    func returns(_ order: MockTrade.Order) -> String {
        let page = "\"pageInfo\":{\"hasNextPage\":false,\"endCursor\":null}"
        guard let status = order.goodsReturn?.status else { return "{\(page),\"nodes\":[]}" }
        let id = order.number + 1
        let lines = order.lines.prefix(2).map { line in
            """
            {"id":"gid://shopify/ReturnLineItem/\(id * 10 + line.number)","quantity":1,"processedQuantity":\
            \(line.returnedUnits),"fulfillmentLineItem":{"lineItem":{"id":"gid://shopify/LineItem/\
            \(id * 10 + line.number)"}}}
            """
        }
        return """
            {\(page),"nodes":[{"id":"gid://shopify/Return/\(id)","status":"\(status)","returnLineItems":{\(page),\
            "nodes":[\(lines.joined(separator: ","))]}}]}
            """
    }
}

extension MockTrade.Order {
    var returnStatus: String {
        switch goodsReturn {
        case nil: "NO_RETURN"
        case .requested: "RETURN_REQUESTED"
        case .declined: "RETURN_FAILED"
        case .open: "IN_PROGRESS"
        case .closed: "RETURNED"
        }
    }
}

extension MockTrade.Return {
    fileprivate var status: String {
        switch self {
        case .requested: "REQUESTED"
        case .declined: "DECLINED"
        case .open: "OPEN"
        case .closed: "CLOSED"
        }
    }
}
