package import Engine
package import Foundation
package import Postgres
import Runtime

/// Stores recorded REST bodies of one shop as if they had been pulled: the same upserts, no watermark.
package struct ShopifyImportJob: Job {
    package let name: JobName = "shopify_import"
    package let knownOptions: Set<RunOptionName> = [.dryRun]
    private let archive: ShopifyArchive
    private let mapping: ShopifyMapping
    private let scope: SourceScope
    private let target: PGPool

    /// Throws `.settingsInvalid` when neither the caller nor the archive names the shop's currency.
    package init(
        archive: ShopifyArchive,
        accountID: String,
        country: String,
        shop: String,
        currency: String?,
        zone: TimeZone?,
        target: PGPool
    ) throws {
        guard let currency = currency ?? archive.currency else {
            throw TallyError(
                .settingsInvalid,
                during: "shopify.import",
                "the files name no currency",
                remedy: "Give --currency, or the recorded shop.json among the files."
            )
        }
        self.archive = archive
        let shop = ShopifySettings(shop: shop)?.shop ?? shop
        mapping = ShopifyMapping(
            shop: shop,
            currency: currency,
            zone: zone ?? archive.zone ?? TimeZone(secondsFromGMT: 0) ?? .current
        )
        scope = SourceScope(source: "shopify", accountID: accountID, scope: shop, country: country)
        self.target = target
    }

    package var targets: [PGPool] { [target] }

    package func run(_ context: RunContext) async throws -> RunSummary {
        let types = try await target.withConnection { try await ColumnTypes.read(on: $0) }
        let store = MarketplaceStore(scope: scope, types: types)
        var mapping = mapping
        let parts: [(Pipeline, DocumentRecord.Kind?, MappedRows)] = [
            (.products, nil, archive.catalogue(mapping)), (.sales, .order, archive.sales(&mapping)),
            (.fees, .fee, archive.fees(&mapping)),
        ]
        var counts = ["records": 0, "changed": 0]
        var refused = 0
        var proof = context.options.dryRun ? Proof.compareOnly : .commandTags
        for (pipeline, kind, rows) in parts {
            context.progress.stage("shopify import \(pipeline.rawValue)")
            context.progress.add(read: rows.records)
            refused += rows.refused.count
            counts["records", default: 0] += rows.records
            for piece in rows.pieces(of: 500) {
                let changes = try await write(piece, kind, pipeline, store, context)
                counts["changed", default: 0] += changes.values.reduce(0, +)
                if !context.options.dryRun { MarketplaceMetric.rows(source: scope.source, changes) }
            }
            if !context.options.dryRun {
                let check = DerivedCheck(scope: scope, types: types)
                if try await check.check(pipeline, in: target) { proof = .fullCompare }
            }
        }
        return RunSummary(
            counts: counts,
            details: ["ignored": .object(archive.ignored.mapValues { .int($0) })],
            deadLetters: refused,
            proof: proof
        )
    }

    private func write(
        _ rows: MappedRows,
        _ kind: DocumentRecord.Kind?,
        _ pipeline: Pipeline,
        _ store: MarketplaceStore,
        _ context: RunContext
    ) async throws -> MarketplaceStore.Changes {
        try await target.withConnection { connection in
            guard !context.options.dryRun else {
                return try await connection.withTransaction(readOnly: true) { connection in
                    try await store.write(rows, kind, compareOnly: true, in: connection)
                }
            }
            return try await context.retrying("marketplace.write") {
                try await context.write(on: connection, durable: true) { connection in
                    let changes = try await store.write(rows, kind, compareOnly: false, in: connection)
                    try await context.deadLetters.record(
                        rows.refused.map {
                            DeadLetter(
                                key: "\(scope.scope):\(pipeline.rawValue):\($0.key)",
                                reason: $0.reason,
                                kind: TallyError.Kind.recordMalformed.rawValue,
                                columns: [],
                                fingerprint: nil
                            )
                        },
                        in: connection
                    )
                    return changes
                }
            }
        }
    }
}

extension MappedRows {
    /// The same rows in pieces of at most `size` records of each sort.
    fileprivate func pieces(of size: Int) -> [MappedRows] {
        let most = max(products.count, listings.count, documents.count, refused.count)
        return stride(from: 0, to: most, by: size).map { start in
            func slice<Record>(_ records: [Record]) -> [Record] { Array(records.dropFirst(start).prefix(size)) }
            var piece = MappedRows()
            piece.products = slice(products)
            piece.listings = slice(listings)
            piece.documents = slice(documents)
            piece.refused = slice(refused)
            return piece
        }
    }
}
