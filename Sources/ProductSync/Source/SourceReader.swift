package import Engine
import Logging
package import Mongo
import Runtime
import Telemetry

/// Reads the source collection by keyset pages on `_id`.
///
/// Every page is a `find` of its own, so a lost cursor, a step-down or a dropped connection costs one page.
package struct SourceReader: Sendable {
    let pool: MongoPool
    let plan: ColumnPlan
    let context: RunContext
    let range: SideRange<IDPosition>

    /// Bytes of projected documents that one page should hold.
    ///
    /// The driver's reply, made as large as the next power of two, and the page's images then come from the heap, which
    /// lends the same memory again and again, and what waits between two steps stays small (docs/hot-path.md).
    static let pageBytesWanted = 5 << 16
    static let pageRowsMax = 20_000
    /// A page ends with the document that brings it here, however many were asked for: the limit of a page follows
    /// from the documents before it, which may have been smaller.
    static let pageBytesMax = 1 << 20

    /// `range`: the documents that pages are read of; lookups see all.
    package init(
        pool: MongoPool,
        plan: ColumnPlan,
        context: RunContext,
        range: SideRange<IDPosition> = .everything
    ) {
        self.pool = pool
        self.plan = plan
        self.context = context
        self.range = range
    }

    /// The brackets between the first and the last `_id`; empty for an empty collection.
    ///
    /// `_id` has an index in bracket order, so two ends of one bracket prove that everything between is of it. Throws
    /// `.protocolViolation` for ends that cannot be.
    package func brackets() async throws -> [IDBracket] {
        guard let first = try await end(ascending: true), let last = try await end(ascending: false) else { return [] }
        guard first <= last else {
            throw TallyError(
                .protocolViolation,
                during: "source.edge",
                "the first _id of the collection sorts behind the last",
                remedy: "Run again, should the collection have been replaced meanwhile."
            )
        }
        return IDBracket.allCases.filter { $0 >= first && $0 <= last }
    }

    private func end(ascending: Bool) async throws -> IDBracket? {
        let documents = try await context.retrying("source.edge") {
            try await pool.withSession { session in
                try await session.findAll(
                    MongoFind(
                        collection: plan.collection,
                        sort: Self.sort(ascending: ascending),
                        projection: Self.idOnly,
                        limit: 1
                    )
                )
            }
        }
        guard let document = documents.first else { return nil }
        guard let id = RowEncoder.identifier(of: document.bytes.span), let bracket = IDBracket(id.type) else {
            throw Self.withoutID
        }
        return bracket
    }

    /// What no page can go on behind is not the end of the collection.
    static var withoutID: TallyError {
        TallyError(.protocolViolation, during: "source.page", "the source gave a document without an _id that can be")
    }

    /// Sends every page of `brackets` in order, each bracket until a read finds nothing behind the last `_id` seen.
    ///
    /// `keepsIDs`: pages tell the `_id` of each row too.
    package func readPages(
        _ brackets: [IDBracket],
        keepsIDs: Bool = false,
        _ deliver: (SourcePage) async throws -> Void
    ) async throws {
        let builder = SourcePageBuilder(plan: plan, keepsIDs: keepsIDs)
        for segment in IDSegment.all(of: brackets, in: range) {
            try await read(segment, builder, deliver)
        }
    }

    private func read(
        _ segment: IDSegment,
        _ builder: SourcePageBuilder,
        _ deliver: (SourcePage) async throws -> Void
    ) async throws {
        var filter = segment.first
        var limit = 500
        while true {
            try Task.checkCancellation()
            let page = try await read(filter: filter, limit: limit, builder)
            guard page.documents > 0 else { return }
            guard let last = page.lastID else { throw Self.withoutID }
            try await context.failpoint.reach("source.pageRead")
            try await deliver(page)
            // A single value has no "behind"; NaN, besides, compares greater to nothing.
            guard !segment.isSingleValue else { return }
            filter = segment.filter(after: last)
            limit = Self.nextLimit(documents: page.documents, bytes: page.sourceBytes)
        }
    }

    static func nextLimit(documents: Int, bytes: Int) -> Int {
        min(pageRowsMax, max(1, pageBytesWanted / max(1, bytes / max(1, documents))))
    }

    private func read(filter: BSONDocument, limit: Int, _ builder: SourcePageBuilder) async throws -> SourcePage {
        try await context.retrying("source.page") {
            // What an earlier try collected before it failed is read again as a whole.
            _ = builder.take()
            let asOf = ContinuousClock.now
            try await pool.withSession { session in
                try await session.findPage(
                    MongoFind(
                        collection: plan.collection,
                        filter: filter,
                        sort: Self.sort(ascending: true),
                        projection: projection,
                        limit: limit
                    )
                ) { documents in
                    // The next page begins behind the last document that was taken, however many came.
                    try builder.add(array: documents, bytesMax: Self.pageBytesMax)
                }
            }
            return builder.take(asOf: asOf)
        }
    }

    /// How many documents the range has now, counted by the server, one bracket's share at a time; by reading their ids
    /// where it does not answer, since a count of very many takes longer than a socket waits for one answer.
    package func count() async throws -> Int {
        let brackets = try await brackets()
        do {
            var total = 0
            for segment in IDSegment.all(of: brackets, in: range) {
                total += try await pool.withSession { try await $0.count(plan.collection, filter: segment.first) }
                context.progress.touch()
            }
            return total
        } catch let error as TallyError where error.kind.disposition == .retry {
            context.logger.event(
                .notice,
                "the source did not count a range; its ids are read instead",
                [.kind: error.kind.rawValue]
            )
            return try await countByReading()
        }
    }

    /// The same number found by reading every `_id`: slower, and right also where a server miscounts.
    package func countByReading() async throws -> Int {
        var total = 0
        try await IDWalk(pool: pool, collection: plan.collection, context: context)
            .run(try await brackets(), in: range) { _ in total += 1 }
        return total
    }

    /// The documents that have one of these ids, in the order of `_id`.
    package func documents(_ ids: [IDValue]) async throws -> SourcePage {
        guard !ids.isEmpty else { return SourcePage() }
        let builder = SourcePageBuilder(plan: plan)
        return try await context.retrying("source.lookup") {
            _ = builder.take()
            _ = try await pool.withSession { session in
                try await session.find(
                    MongoFind(
                        collection: plan.collection,
                        filter: IDBracket.filter(among: ids),
                        sort: Self.sort(ascending: true),
                        projection: projection,
                        batchSize: ids.count
                    )
                ) { document in builder.add(document) }
            }
            return builder.take()
        }
    }

    /// The same documents as they are, the mapped fields only, by the key their row would have.
    package func originals(_ ids: [IDValue]) async throws -> [(key: [UInt8], document: BSONDocument)] {
        try await originals(ids, projection)
    }

    /// Which of these ids documents have, in their order, by the key their row would have.
    package func identifiers(_ ids: [IDValue]) async throws -> [(key: [UInt8], id: IDPosition)] {
        try await originals(ids, Self.idOnly).compactMap { key, document in
            RowEncoder.identifier(of: document.bytes.span).map { (key, IDPosition($0, of: document.bytes.span)) }
        }
    }

    private func originals(_ ids: [IDValue], _ projection: BSONDocument) async throws
        -> [(key: [UInt8], document: BSONDocument)]
    {
        guard !ids.isEmpty else { return [] }
        let found = try await context.retrying("source.lookup") {
            try await pool.withSession { session in
                try await session.findAll(
                    MongoFind(
                        collection: plan.collection,
                        filter: IDBracket.filter(among: ids),
                        sort: Self.sort(ascending: true),
                        projection: projection,
                        batchSize: ids.count
                    )
                )
            }
        }
        var encoder = RowEncoder(plan: plan)
        return found.compactMap { document in
            var rows = RowBatch()
            let hasKey =
                (try? rows.appendRow { out throws(FieldRejection) in
                    try encoder.appendKeyOnly(document.bytes.span, to: &out)
                }) != nil
            return hasKey ? (Array(rows.key(0)), document) : nil
        }
    }

    static func sort(ascending: Bool) -> BSONDocument {
        var sort = BSONBuilder()
        sort.append("_id", int32: ascending ? 1 : -1)
        return sort.finish()
    }

    static var idOnly: BSONDocument {
        var projection = BSONBuilder()
        projection.append("_id", int32: 1)
        return projection.finish()
    }

    /// Only the mapped fields travel. A path below another mapped path is left out: MongoDB refuses such a pair.
    private var projection: BSONDocument {
        let paths = Set(plan.columns.map { $0.path.map { String(decoding: $0, as: UTF8.self) } }.filter { !$0.isEmpty })
        var builder = BSONBuilder()
        for path in paths.sorted(by: { $0.joined(separator: ".") < $1.joined(separator: ".") }) {
            let covered = (1..<path.count).contains { paths.contains(Array(path[..<$0])) }
            if !covered { builder.append(path.joined(separator: "."), int32: 1) }
        }
        return builder.finish()
    }
}
