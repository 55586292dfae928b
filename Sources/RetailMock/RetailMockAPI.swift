package import Foundation
package import HTTPServer
import HTTPTypes
package import Runtime
import Synchronization

/// The sample source API: `/customers`, `/products`, `/sales?start_sales_id=N&limit=250`, behind an API key.
///
/// What it answers follows from the shop and the clock. `POST /faults?kind=slow&times=2&path=sales` makes the next
/// requests go wrong.
package struct RetailMockAPI: Sendable {
    package let shop: SampleShop
    package let faults: MockFaults
    private let key: Secret<String>?
    private let slowness: Duration
    private let now: @Sendable () -> Date
    private let requests = RequestCount()

    /// - Parameters:
    ///   - key: what `Authorization` must carry, bare or behind `Bearer `; nil lets everybody in.
    ///   - slowness: how long a slow answer takes.
    package init(
        shop: SampleShop,
        key: Secret<String>?,
        faults: MockFaults = MockFaults(),
        slowness: Duration = .seconds(10),
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.shop = shop
        self.key = key
        self.faults = faults
        self.slowness = slowness
        self.now = now
    }

    /// Routes for a server.
    package var router: Router {
        var router = Router()
        router.on(.get, "/customers", options: RouteOptions(longRunning: true)) { request, _ in
            try await answer(request, "customers") {
                (0..<shop.customerCount).map { json(shop.customer($0)) }
            }
        }
        router.on(.get, "/products", options: RouteOptions(longRunning: true)) { request, _ in
            try await answer(request, "products") { (0..<shop.productCount).map { json(shop.product($0)) } }
        }
        router.on(.get, "/sales", options: RouteOptions(longRunning: true)) { request, _ in
            let start = number(request, "start_sales_id") ?? 1
            let limit = min(1_000, max(1, number(request, "limit") ?? 250))
            return try await answer(request, "sales", duplicate: { page(max(1, start - limit), limit, before: start) })
            {
                page(start, limit)
            }
        }
        router.on(.post, "/faults") { request, _ in
            guard let kind = text(request, "kind").flatMap({ MockFault(rawValue: $0) }) else {
                return ServerResponse(status: .badRequest, body: .bytes(Array("unknown kind\n".utf8)))
            }
            let times = min(1_000, max(1, number(request, "times") ?? 1))
            faults.add(kind, path: text(request, "path"), times: times, after: number(request, "after") ?? 0)
            return ServerResponse(status: .noContent)
        }
        return router
    }

    private func answer(
        _ request: ServerRequest,
        _ path: String,
        duplicate: (() -> [String])? = nil,
        _ items: () -> [String]
    ) async throws -> ServerResponse {
        requests.add()
        let fault = faults.take(path)
        guard isAllowed(request), fault != .unauthorized else { return ServerResponse(status: .unauthorized) }
        if fault == .serverError { return ServerResponse(status: .internalServerError) }
        if fault == .slow { try await Task.sleep(for: slowness) }
        let list = fault == .duplicatePage ? duplicate?() ?? items() : items()
        var body = Array("{\"items\": [\(list.joined(separator: ", "))]}".utf8)
        if fault == .truncated { body.removeLast(body.count / 2) }
        return ServerResponse(status: .ok, headers: [.contentType: "application/json"], body: .bytes(body))
    }

    private func isAllowed(_ request: ServerRequest) -> Bool {
        guard let key else { return true }
        let given = request.headers[.authorization] ?? ""
        return key.expose { given == $0 || given == "Bearer \($0)" }
    }

    private func page(_ start: Int, _ limit: Int, before: Int = .max) -> [String] {
        let instant = now()
        var items: [String] = []
        var id = max(1, start)
        let last = min(shop.lastSaleID(at: instant), before - 1)
        while items.count < limit, id <= last {
            if let sale = shop.sale(id, at: instant) { items.append(json(sale)) }
            id += 1
        }
        return items
    }

    private func text(_ request: ServerRequest, _ name: String) -> String? {
        request.query.first { $0.0 == name }?.1
    }

    private func number(_ request: ServerRequest, _ name: String) -> Int? { text(request, name).flatMap { Int($0) } }

    // MARK: JSON

    private func json(_ customer: SampleShop.Customer) -> String {
        JSONValue.object([
            "customer_id": .string(customer.id), "emails": .array(customer.emails.map { .string($0) }),
            "phone_numbers": .array(customer.phoneNumbers.map { .string($0) }),
        ]).text
    }

    private func json(_ product: SampleShop.Product) -> String {
        let (sku, description) = (JSONValue.string(product.sku).text, JSONValue.string(product.description).text)
        return "{\"product_sku\": \(sku), \"description\": \(description), "
            + "\"unit_amount\": \(Self.amount(product.cents)), "
            + "\"supplier\": \(JSONValue.string(product.supplier).text)}"
    }

    /// Lines come in another order each time, as databases give rows without ORDER BY.
    private func json(_ sale: SampleShop.Sale) -> String {
        let turn = requests.value % sale.lines.count
        let lines = (sale.lines[turn...] + sale.lines[..<turn]).map { line in
            "{\"product_sku\": \(JSONValue.string(line.sku).text), \"quantity\": \(line.quantity), "
                + "\"amount\": \(Self.amount(line.cents))}"
        }
        let instant = sale.instant.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true, timeZone: .gmt))
        return "{\"id\": \(sale.id), \"datetime\": \"\(instant)\", \"total_amount\": \(Self.amount(sale.cents)), "
            + "\"customer_id\": \"\(sale.customerID)\", \"items\": [\(lines.joined(separator: ", "))]}"
    }

    /// Exact: never through a double.
    static func amount(_ cents: Int) -> String {
        let rest = cents % 100
        return "\(cents / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}

private final class RequestCount: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func add() { count.withLock { $0 += 1 } }
}
