package import Foundation
import Runtime
import Synchronization

/// One marketplace of one seller, read through the Selling Partner API.
package final class AmazonSource: MarketplaceSource {
    /// `searchListingsItems` answers with no more than this, whatever the token says.
    static let listingsMax = 1_000

    package let scope: SourceScope
    /// Orders and finances refuse bounds younger than two minutes.
    package let lag = Duration.seconds(130)
    private let client: AmazonClient
    private let marketplace: AmazonMarketplace
    /// Transactions that name no marketplace are read with the first one.
    private let isFirst: Bool
    private let mapping: Mutex<AmazonMapping>
    /// Contents seen in the window under way: some transactions have no id.
    private let seen = Mutex<[String: Int]>([:])
    /// The part of the refunds that `seen` belongs to.
    private let scanning = Mutex<Date?>(nil)

    package init(client: AmazonClient, marketplace: AmazonMarketplace, accountID: String, isFirst: Bool) {
        self.client = client
        self.marketplace = marketplace
        self.isFirst = isFirst
        scope = SourceScope(
            source: "amazon",
            accountID: accountID,
            scope: marketplace.id,
            country: marketplace.country
        )
        mapping = Mutex(AmazonMapping(marketplace: marketplace, sellerID: client.sellerID))
    }

    package var aheadOfVendor: TimeInterval { client.clock.aheadBy }

    package func plan(_ pipeline: Pipeline) -> PipelinePlan {
        let fortnight = PipelinePlan.DeepRead(name: "\(pipeline.rawValue)_14d", depth: .days(14), every: .days(1))
        let month = PipelinePlan.DeepRead(name: "\(pipeline.rawValue)_30d", depth: .days(30), every: .days(7))
        switch pipeline {
        case .products, .listings:
            return PipelinePlan(overlap: .seconds(600), resumableFor: .hours(12), sweeps: true)
        case .sales:
            return PipelinePlan(
                documents: .order,
                overlap: .seconds(600),
                firstLookback: .days(730),
                // Twenty calls an hour: a token must not outlive the reading of its window, so the windows are short.
                windowMax: .days(7),
                resumableFor: .hours(20)
            )
        case .fees:
            // Windows beyond 180 days come back empty without an error, and one that was cut begins again: a week of
            // transactions is read well within a run.
            return PipelinePlan(
                documents: .fee,
                overlap: .days(2),
                firstLookback: .days(730),
                windowMax: .days(7),
                deepReads: [fortnight, month]
            )
        }
    }

    /// Every listing by the merchant listings report: the search reaches no further than a thousand.
    package func sweep(
        _ pipeline: Pipeline,
        _ retrying: PullRetrying,
        _ take: (MappedRows) async throws -> Void
    ) async throws {
        let report = AmazonListingsReport(client: client, marketplace: marketplace, retrying: retrying)
        try await report.read { page in
            var rows = MappedRows()
            for entry in page {
                rows.records += 1
                // Only the ids count: what a sweep sees is not written.
                if pipeline == .products {
                    rows.seen.append(entry.asin ?? "sku:\(entry.sku)")
                } else {
                    rows.seen.append("\(client.sellerID)/\(marketplace.id)/\(entry.sku)")
                }
            }
            try await take(rows)
        }
    }

    /// Amazon's own figures of the last whole days.
    package func controlTotals(until: Date) async throws -> [ControlTotal] {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = marketplace.zone
        let end = calendar.startOfDay(for: until)
        guard let start = calendar.date(byAdding: .day, value: -Self.controlDays, to: end) else { return [] }
        let answer = try await client.get(
            .getOrderMetrics,
            [
                ("marketplaceIds", marketplace.id), ("interval", "\(WireTime.text(start))--\(WireTime.text(end))"),
                ("granularity", "Day"), ("granularityTimeZone", marketplace.zone.name),
            ]
        )
        return try (answer["payload"].array ?? []).map { entry in
            try AmazonMapping.control(entry, currency: marketplace.currency)
        }
    }

    private static let controlDays = 7

    package func page(_ pipeline: Pipeline, _ window: PullWindow, cursor: String?) async throws -> SourcePage {
        switch pipeline {
        case .products, .listings: return try await listings(pipeline, window, cursor)
        case .sales:
            if let cursor, cursor.hasPrefix("r:") { return try await refunds(window, String(cursor.dropFirst(2))) }
            return try await orders(window, cursor)
        case .fees: return try await fees(window, cursor)
        }
    }

    // MARK: Orders

    private func orders(_ window: PullWindow, _ token: String?) async throws -> SourcePage {
        // Every parameter but the token stays as it was on the first page: another one voids the token.
        var query = [
            ("marketplaceIds", marketplace.id), ("lastUpdatedAfter", WireTime.text(window.since ?? Self.beginning)),
            ("lastUpdatedBefore", WireTime.text(window.until)), ("maxResultsPerPage", "100"),
            ("includedData", "PROCEEDS,CANCELLATION,FULFILLMENT"),
        ]
        if let token { query.append(("paginationToken", token)) }
        let answer = try await client.get(.searchOrders, query, hasPageToken: token != nil)
        var rows = MappedRows()
        for order in answer["orders"].array ?? [] {
            take(order["orderId"].string, &rows) { try $0.order(order) }
        }
        return SourcePage(rows: rows, next: answer["pagination"]["nextToken"].string ?? "r:")
    }

    /// The second part of the sales: refunds are told by the finances only, up to two days late.
    private func refunds(_ window: PullWindow, _ token: String) async throws -> SourcePage {
        var (windowStart, pageToken) = (Self.refundsSince(window, now: client.clock.now()), String?.none)
        if let bar = token.firstIndex(of: "|"), let start = WireTime.instant(String(token[..<bar])) {
            windowStart = start
            let rest = String(token[token.index(after: bar)...])
            pageToken = rest.isEmpty ? nil : rest
        }
        let end = min(window.until, windowStart.addingTimeInterval(Self.refundsPart))
        guard windowStart < end else { return SourcePage(rows: MappedRows(), next: nil) }
        let part = PullWindow(since: windowStart, until: end)
        // Another process began this part: what it had seen of it is unknown, so the part begins again.
        if pageToken != nil, scanning.withLock({ $0 }) != windowStart { pageToken = nil }
        scanning.withLock { $0 = windowStart }
        var (rows, next) = try await transactions(part, pageToken, key: AmazonMapping.refundID) {
            try $0.refund($1, id: $2)
        }
        rows.records = rows.documents.count + rows.refused.count
        let following =
            next.map { "r:\(WireTime.text(windowStart))|\($0)" }
            ?? (end < window.until ? "r:\(WireTime.text(end))|" : nil)
        return SourcePage(rows: rows, next: following)
    }

    /// A part that another process had begun begins again: two weeks of transactions are read well within a run.
    private static let refundsPart: TimeInterval = 14 * 86_400

    /// Finances come up to two days late; the first read of a day goes back 14 days, the first of a week 30. Of
    /// windows that ended longer ago, as those of a first load, nothing is late: a week lets orders come that changed
    /// after their refund, whose day it takes.
    static func refundsSince(_ window: PullWindow, now: Date) -> Date {
        guard let since = window.since else { return max(beginning, window.until.addingTimeInterval(-730 * 86_400)) }
        let days = { (date: Date) in Int((date.timeIntervalSince1970 / 86_400).rounded(.down)) }
        let (from, to) = (days(since), days(window.until))
        let isSettled = now.timeIntervalSince(window.until) > 30 * 86_400
        // 1970-01-01 was a Thursday: weeks begin on Monday.
        let depth = isSettled ? 7 : (from + 3) / 7 != (to + 3) / 7 ? 30 : from != to ? 14 : 3
        return max(beginning, since.addingTimeInterval(-Double(depth) * 86_400))
    }

    // MARK: Finances

    private func fees(_ window: PullWindow, _ token: String?) async throws -> SourcePage {
        let (rows, next) = try await transactions(window, token) { try $0.fees($1, id: $2) }
        return SourcePage(rows: rows, next: next)
    }

    /// One page of transactions. An empty page with a token is ordinary.
    private func transactions(
        _ window: PullWindow,
        _ token: String?,
        key: (String) -> String = { $0 },
        _ map: (inout AmazonMapping, WireJSON, String) throws -> DocumentRecord?
    ) async throws -> (MappedRows, String?) {
        // The marketplace is not asked for: with it, Amazon leaves out what merchants fulfil themselves in the US.
        var query = [
            ("postedAfter", WireTime.text(window.since ?? Self.beginning)),
            ("postedBefore", WireTime.text(window.until)),
        ]
        if let token { query.append(("nextToken", token)) } else { seen.withLock { $0.removeAll() } }
        let answer = try await client.get(.listTransactions, query, hasPageToken: token != nil)
        let payload = answer["payload"].isNull ? answer : answer["payload"]
        var rows = MappedRows()
        for transaction in payload["transactions"].array ?? []
        where mapping.withLock({ $0.isOurs(transaction, isFirst: isFirst) }) {
            let id = AmazonMapping.identity(transaction) { hash in
                seen.withLock { seen in
                    defer { seen[hash, default: 0] += 1 }
                    return seen[hash] ?? 0
                }
            }
            take(key(id), &rows) { try map(&$0, transaction, id) }
        }
        return (rows, payload["nextToken"].string.flatMap { $0.isEmpty ? nil : $0 })
    }

    // MARK: Listings

    /// Spans of change times still to be read, first one first: `since|until|token` joined by `;`.
    ///
    /// A span with more than a thousand listings is cut in two.
    private func listings(_ pipeline: Pipeline, _ window: PullWindow, _ cursor: String?) async throws -> SourcePage {
        var spans = cursor.map(ListingSpan.list) ?? [ListingSpan(since: window.since, until: window.until)]
        var answer = WireJSON.null
        while let span = spans.first {
            answer = try await search(span)
            let total = answer["numberOfResults"].int ?? 0
            guard total > Self.listingsMax, span.token == nil, let halves = span.halves(from: Self.beginning) else {
                guard total <= Self.listingsMax else {
                    throw TallyError(
                        .limitExceeded,
                        during: "amazon.listings",
                        "more than \(Self.listingsMax) listings changed within one second"
                    )
                }
                break
            }
            spans.replaceSubrange(0..<1, with: halves)
        }
        let items = answer["items"].array ?? []
        if !spans.isEmpty {
            if let next = answer["pagination"]["nextToken"].string {
                spans[0].token = next
            } else {
                spans.removeFirst()
            }
        }
        let catalog = pipeline == .products ? try await catalog(items) : [:]
        var rows = MappedRows()
        for item in items {
            rows.records += 1
            let mapping = mapping.withLock { $0 }
            do {
                if pipeline == .listings {
                    if let listing = try mapping.listing(item) { rows.listings.append(listing) }
                } else if let product = try mapping.product(listing: item, catalog: catalog[Self.asin(item) ?? ""]) {
                    rows.products.append(product)
                }
            } catch {
                rows.refused.append(RefusedRecord(key: mapping.name(pipeline, of: item), error))
            }
        }
        return SourcePage(rows: rows, next: spans.isEmpty ? nil : ListingSpan.text(spans))
    }

    private func search(_ span: ListingSpan) async throws -> WireJSON {
        var query = [
            ("marketplaceIds", marketplace.id), ("includedData", "summaries,offers"), ("pageSize", "20"),
            ("sortBy", "createdDate"), ("sortOrder", "ASC"), ("lastUpdatedBefore", WireTime.text(span.until)),
        ]
        if let since = span.since { query.append(("lastUpdatedAfter", WireTime.text(since))) }
        if let token = span.token { query.append(("pageToken", token)) }
        return try await client.get(.searchListingsItems, query, hasPageToken: span.token != nil)
    }

    private static func asin(_ item: WireJSON) -> String? {
        item["summaries"].array?.lazy.compactMap { $0["asin"].string }.first
    }

    /// Titles, brands and categories of at most twenty items, by ASIN.
    private func catalog(_ items: [WireJSON]) async throws -> [String: WireJSON] {
        let asins = Set(items.compactMap(Self.asin)).sorted()
        guard !asins.isEmpty else { return [:] }
        let answer = try await client.get(
            .searchCatalogItems,
            [
                ("marketplaceIds", marketplace.id), ("identifiersType", "ASIN"),
                ("identifiers", asins.prefix(20).joined(separator: ",")), ("includedData", "summaries"),
                ("pageSize", "20"),
            ],
            hasPageToken: false
        )
        let found = (answer["items"].array ?? []).compactMap { item in item["asin"].string.map { ($0, item) } }
        return Dictionary(found, uniquingKeysWith: { first, _ in first })
    }

    /// Before Amazon's marketplaces had listings.
    static let beginning = Date(timeIntervalSince1970: 788_918_400)

    private func take(
        _ key: String?,
        _ rows: inout MappedRows,
        _ map: (inout AmazonMapping) throws -> DocumentRecord?
    ) {
        rows.records += 1
        do {
            if let document = try mapping.withLock({ try map(&$0) }) { rows.documents.append(document) }
        } catch {
            rows.refused.append(RefusedRecord(key: key ?? "without id", error))
        }
    }
}
