import Engine
import Foundation
import HTTPClient
import Runtime

/// Asks the source and judges its answers; tries again what may pass.
struct RetailSource: Sendable {
    let api: RetailAPI

    /// Customers or products, whole.
    func whole(_ entity: BronzeEntity, _ context: RunContext) async throws -> SourcePage {
        try await context.retrying("retail.fetch") {
            try page(try await ask(entity.rawValue, []), of: entity.rawValue)
        }
    }

    /// At most `limit` sales from the id `start` on. An answer that lies wholly before `start` is another page than
    /// the one asked for, as a cache may give it: it is asked for again.
    func sales(from start: Int64, limit: Int, _ context: RunContext) async throws -> SourcePage {
        try await context.retrying("retail.fetch") {
            let query = [("start_sales_id", String(start)), ("limit", String(limit))]
            let page = try page(try await ask("sales", query), of: "sales")
            guard page.isEmpty || page.saleIDs.contains(where: { $0 >= start }) else {
                throw TallyError(
                    .sourceUnreachable,
                    during: "retail.fetch",
                    "the source answered with a page of sales before the one asked for"
                )
            }
            return page
        }
    }

    private func ask(_ path: String, _ query: [(String, String)]) async throws -> OutboundResponse {
        let answer = try await api.get(path, query: query)
        switch answer.status {
        case 200: return answer
        case 401, 403:
            throw TallyError(
                .credentialsRejected,
                during: "retail.fetch",
                "the source answered \(answer.status) for /\(path)",
                remedy: "Check API_KEY; some deployments want it as `Bearer <key>`."
            )
        case 408, 425, 429, 500...599:
            throw TallyError(
                .serverBusy,
                during: "retail.fetch",
                "the source answered \(answer.status) for /\(path)",
                retryAfter: answer.retryAfter(now: Date())
            )
        default:
            throw TallyError(
                .protocolViolation,
                during: "retail.fetch",
                "the source answered \(answer.status) for /\(path)",
                remedy: "Check API_BASE_URL."
            )
        }
    }

    private func page(_ answer: OutboundResponse, of path: String) throws -> SourcePage {
        do throws(JSONFlaw) {
            return try SourcePage(answer.body)
        } catch {
            // A cut answer is cured by asking again; one that stays like that ends the retries and the run.
            throw TallyError(
                .sourceUnreachable,
                during: "retail.fetch",
                "the answer for /\(path) is no whole {\"items\": […]}: \(error.reason.rawValue)"
            )
        }
    }
}

/// The items of one answer, as they came.
struct SourcePage: Sendable {
    let body: [UInt8]
    let items: [JSONToken]
    /// Ids of the items that have one, in their order.
    let saleIDs: [Int64]

    var isEmpty: Bool { items.isEmpty }

    /// Throws for anything but an object with one array `items`.
    init(_ body: [UInt8]) throws(JSONFlaw) {
        let bytes = body.span
        var index = 0
        var items: [JSONToken]?
        var members: [(JSONToken, JSONToken)] = []
        try JSONScan.members(bytes, &index) { (key, value) throws(JSONFlaw) in members.append((key, value)) }
        try JSONScan.end(bytes, &index)
        for (key, value) in members where JSONText.unescaped(bytes, key) == Array("items".utf8) {
            guard value.kind == .array else { throw JSONFlaw(reason: .unexpected, offset: value.start) }
            var list: [JSONToken] = []
            var place = value.start
            try JSONScan.elements(bytes, &place) { element throws(JSONFlaw) in list.append(element) }
            items = list
        }
        guard let items else { throw JSONFlaw(reason: .notObject, offset: 0) }
        var ids: [Int64] = []
        for item in items {
            let sale = RecordMembers(bytes, item)
            if let id = sale["id"], let number = SilverField.integer(bytes, id) { ids.append(number) }
        }
        self.body = body
        self.items = items
        saleIDs = ids
    }
}

/// The members of one object by name; the last of a name counts.
struct RecordMembers {
    private var byName: [String: JSONToken] = [:]

    /// Empty when the token is no object.
    init(_ bytes: borrowing Span<UInt8>, _ token: JSONToken) {
        guard token.kind == .object else { return }
        var pairs: [(JSONToken, JSONToken)] = []
        var index = token.start
        // The token was scanned before: it is well formed.
        try? JSONScan.members(bytes, &index) { (key, value) throws(JSONFlaw) in pairs.append((key, value)) }
        for (key, value) in pairs {
            if let name = JSONText.unescaped(bytes, key) { byName[String(decoding: name, as: UTF8.self)] = value }
        }
    }

    subscript(name: String) -> JSONToken? { byName[name] }

    /// Names of members, sorted, but for some.
    func names(besides known: Set<String>) -> [String] { byName.keys.filter { !known.contains($0) }.sorted() }
}
