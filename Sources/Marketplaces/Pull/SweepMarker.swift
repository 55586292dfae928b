import Foundation
import Postgres
import Runtime

/// Remembers what a full sweep saw and marks the stored rows it did not see; nothing is deleted.
struct SweepMarker {
    /// More ids than this are no shop of ours (INV-8).
    static let seenMax = 5_000_000

    let pipeline: Pipeline
    let scope: SourceScope
    /// Digests of ids: eight bytes each, whatever their length.
    private var seen: Set<Int> = []

    init(pipeline: Pipeline, scope: SourceScope) {
        self.pipeline = pipeline
        self.scope = scope
    }

    mutating func take(_ rows: MappedRows) {
        guard seen.count < Self.seenMax else { return }
        for product in rows.products { seen.insert(product.code.hashValue) }
        for listing in rows.listings { seen.insert(listing.id.hashValue) }
        for id in rows.seen { seen.insert(id.hashValue) }
        // What could not be read is there all the same; a refusal has the name of the record that it would be.
        for refused in rows.refused { seen.insert(refused.key.hashValue) }
    }

    /// Stored ids that the sweep did not see and that are not marked yet.
    ///
    /// INV-6: throws `.changeImplausible` when the sweep saw nothing, or when more than a fifth would be marked and
    /// nobody asked for a full pull.
    func gone(on connection: PGConnection, isForced: Bool) async throws -> [String] {
        let (column, table, live) =
            pipeline == .products
            ? ("product_code", "product", "deleted_at IS NULL")
            : ("marketplace_listing_id", "listing", "status::text IS DISTINCT FROM 'deleted'")
        let stored = try await connection.query(
            """
            SELECT \(column)::text FROM public.\(table)
            WHERE account_id::text = $1 AND marketplace::text = $2 AND scope = $3 AND \(live)
            """,
            [.text(scope.accountID), .text(scope.source), .text(scope.scope)]
        ).rows.map { try $0[0].string() }
        let gone = stored.filter { !seen.contains($0.hashValue) }
        let isMany = gone.count > 10 && gone.count * 5 > stored.count && !isForced
        guard seen.count < Self.seenMax, !isMany, !(seen.isEmpty && !stored.isEmpty) else {
            throw TallyError(
                .changeImplausible,
                during: "marketplace.sweep",
                "the sweep would mark \(gone.count) of \(stored.count) rows of \(table) as deleted",
                remedy: "When the vendor's catalogue really shrank so much, run once with --full."
            )
        }
        return gone
    }

    func mark(_ ids: [String], on connection: PGConnection) async throws -> Int {
        guard !ids.isEmpty else { return 0 }
        let statement =
            pipeline == .products
            ? "UPDATE public.product SET deleted_at = clock_timestamp() WHERE product_code::text = ANY ($4)"
            : "UPDATE public.listing SET status = 'deleted' WHERE marketplace_listing_id::text = ANY ($4)"
        return try await connection.query(
            statement + " AND account_id::text = $1 AND marketplace::text = $2 AND scope = $3",
            [.text(scope.accountID), .text(scope.source), .text(scope.scope), .textArray(ids)]
        ).affectedRows
    }
}
