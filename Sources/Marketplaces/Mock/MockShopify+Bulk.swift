import Foundation
import HTTPClient
import Runtime

/// Bulk operations of the mock: an operation's id says what it reads, so that any process can answer for it.
extension MockShopify {
    /// What may happen to a bulk operation.
    package enum BulkFault: String, Sendable, CaseIterable {
        /// Another operation is running.
        case inProgress
        /// It fails, and the first half of its lines is offered, the last of them cut.
        case partial
        /// It fails and leaves nothing.
        case failed
        /// The result lacks a line that was counted.
        case short
    }

    struct BulkOperation {
        let kind: ShopifyBulkQuery
        let until: Date
        let fault: BulkFault?

        var id: String { "\(kind.rawValue)~\(Int(until.timeIntervalSince1970))~\(fault?.rawValue ?? "none")" }

        init(_ query: String, fault: BulkFault?) {
            kind = query.contains("{ products") ? .products : query.contains("transactions") ? .fees : .orders
            let bound = query.range(of: "<='").map { String(query[$0.upperBound...].prefix { $0 != "'" }) }
            until = bound.flatMap(WireTime.instant) ?? Date(timeIntervalSince1970: 4_000_000_000)
            self.fault = fault
        }

        init?(id: String) {
            let parts = id.split(separator: "/").last.map { $0.split(separator: "~").map(String.init) } ?? []
            guard parts.count == 3, let kind = ShopifyBulkQuery(rawValue: parts[0]), let seconds = Double(parts[1])
            else { return nil }
            self.kind = kind
            until = Date(timeIntervalSince1970: seconds)
            fault = BulkFault(rawValue: parts[2])
        }
    }

    func bulkRun(_ query: String) -> String {
        let fault = nextBulkFault()
        if fault == .inProgress {
            return """
                {"bulkOperationRunQuery":{"bulkOperation":null,"userErrors":[{"code":"OPERATION_IN_PROGRESS",\
                "field":null}]}}
                """
        }
        let operation = BulkOperation(query, fault: fault)
        return """
            {"bulkOperationRunQuery":{"bulkOperation":{"id":"gid://shopify/BulkOperation/\(operation.id)",\
            "status":"CREATED"},"userErrors":[]}}
            """
    }

    func bulkState(_ id: String) -> String {
        guard let operation = BulkOperation(id: id) else { return "{\"bulkOperation\":null}" }
        var count = 0
        bulkLines(operation) { _ in count += 1 }
        let address = "\"\(baseURL)/bulk-of-the-mock/\(operation.id)\""
        let isFailed = operation.fault == .partial || operation.fault == .failed
        return """
            {"bulkOperation":{"id":"\(id)","status":"\(isFailed ? "FAILED" : "COMPLETED")",\
            "errorCode":\(isFailed ? "\"TIMEOUT\"" : "null"),"objectCount":"\(count)","fileSize":null,\
            "url":\(isFailed ? "null" : address),\
            "partialDataUrl":\(operation.fault == .partial ? address : "null")}}
            """
    }

    /// Hands out the result's bytes, some lines at a time.
    func bulkResult(_ id: String, _ take: ([UInt8]) -> Void) -> Bool {
        guard let operation = BulkOperation(id: id) else { return false }
        var total = 0
        if operation.fault != nil { bulkLines(operation) { _ in total += 1 } }
        var piece: [UInt8] = []
        var number = 0
        bulkLines(operation) { line in
            number += 1
            switch operation.fault {
            case .partial where number > total / 2:
                if number == total / 2 + 1 { piece += Array(line.utf8.prefix(line.utf8.count / 2)) }
                return
            case .short where number == total: return
            default: break
            }
            piece += Array(line.utf8)
            piece.append(0x0A)
            if piece.count > 1 << 18 {
                take(piece)
                piece.removeAll(keepingCapacity: true)
            }
        }
        take(piece)
        return true
    }

    private func bulkLines(_ operation: BulkOperation, _ emit: (String) -> Void) {
        let now = now()
        switch operation.kind {
        case .products:
            for product in 0..<trade.products(at: now) {
                let variants = (0..<trade.variantCount(of: product)).map { trade.variant($0, of: product, at: now) }
                guard let main = variants.max(by: { $0.updatedAt < $1.updatedAt }), main.updatedAt <= operation.until
                else { continue }
                emit("{\(productFields(main))}")
                for variant in variants {
                    emit("{\(variantFields(variant)),\"__parentId\":\"gid://shopify/Product/\(product + 1)\"}")
                }
            }
        case .orders, .fees:
            for number in 0..<trade.orders(at: now) {
                guard let order = trade.order(number, at: now), order.updatedAt <= operation.until else { continue }
                guard operation.kind == .orders else {
                    emit(fees(order))
                    continue
                }
                let refunds = order.lines.filter { $0.refundedUnits > 0 }.map {
                    "{\"id\":\"gid://shopify/Refund/\((number + 1) * 10 + $0.number)\"}"
                }
                emit("{\(orderFields(order)),\"refunds\":[\(refunds.joined(separator: ","))]}")
                for line in order.lines {
                    emit(
                        "{\(lineFields(line, of: order)),\"__parentId\":\"gid://shopify/Order/\(number + 1)\"}"
                    )
                }
            }
        }
    }
}
