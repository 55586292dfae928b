import Engine
import Mongo

/// Reads nothing but `_id` values, in their order: from the index alone where the server can.
struct IDWalk {
    let pool: MongoPool
    let collection: String
    let context: RunContext

    /// Hands every `_id` of `range` to `visit`, a page at a time.
    func run(
        _ brackets: [IDBracket],
        in range: SideRange<IDPosition>,
        _ visit: (IDPosition) -> Void
    ) async throws {
        for segment in IDSegment.all(of: brackets, in: range) {
            var filter = segment.first
            while true {
                try Task.checkCancellation()
                guard let last = try await page(filter, visit), !segment.isSingleValue else { break }
                filter = segment.filter(after: last)
            }
        }
    }

    /// The last `_id` of the page; nil for an empty one.
    private func page(_ filter: BSONDocument, _ visit: (IDPosition) -> Void) async throws -> IDPosition? {
        let page = MongoFind(
            collection: collection,
            filter: filter,
            sort: SourceReader.sort(ascending: true),
            projection: SourceReader.idOnly,
            limit: SourceReader.pageRowsMax,
            batchSize: SourceReader.pageRowsMax
        )
        let documents = try await context.retrying("source.walk") {
            try await pool.withSession { try await $0.findAll(page) }
        }
        context.progress.touch()
        var last: IDPosition?
        for document in documents {
            guard let id = RowEncoder.identifier(of: document.bytes.span) else { throw SourceReader.withoutID }
            let position = IDPosition(id, of: document.bytes.span)
            visit(position)
            last = position
        }
        return last
    }
}
