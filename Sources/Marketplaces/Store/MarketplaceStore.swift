package import Postgres
import Runtime

/// Writes records into the unified tables, inside the caller's transaction.
///
/// Every write is an upsert that touches only what differs; running it twice equals running it once (INV-3).
package struct MarketplaceStore: Sendable {
    package let scope: SourceScope
    package let types: ColumnTypes

    package init(scope: SourceScope, types: ColumnTypes) {
        self.scope = scope
        self.types = types
    }

    /// How many rows a write changed, by table.
    package typealias Changes = [String: Int]

    /// Writes a page; in a dry run (`compareOnly`) counts what it would change, with reading statements only.
    package func write(_ rows: MappedRows, _ kind: DocumentRecord.Kind?, compareOnly: Bool, in connection: PGConnection)
        async throws -> Changes
    {
        var changes: Changes = [:]
        if !rows.products.isEmpty {
            changes["product"] = try await products(rows.products, compareOnly, connection)
        }
        if !rows.listings.isEmpty {
            changes["listing"] = try await listings(rows.listings, compareOnly, connection)
        }
        if let kind, !rows.documents.isEmpty {
            let documents = DocumentWriter(store: self, kind: kind)
            changes[documents.target] = try await documents.write(rows.documents, compareOnly, connection)
        }
        return changes
    }

    // MARK: Products and listings

    private func products(_ products: [ProductRecord], _ compareOnly: Bool, _ connection: PGConnection) async throws
        -> Int
    {
        var rows = RowText()
        for product in Self.newest(products, key: \.code, time: \.updatedAt) {
            rows.begin()
            rows.field("product_code", product.code)
            rows.field("sku", product.sku)
            rows.field("asin", product.asin)
            rows.field("title", product.title)
            rows.field("category", product.category)
            rows.field("brand", product.brand)
            rows.field("currency_code", product.currency)
            rows.field("price", product.price)
            rows.field("unit_cost", product.unitCost)
            rows.field("created_at", product.createdAt)
            rows.field("source_updated_at", product.updatedAt)
            rows.end()
        }
        let columns = [
            "sku", "asin", "title", "category", "brand", "currency_code", "price", "unit_cost", "created_at",
            "source_updated_at", "deleted_at",
        ]
        return try await upsert(
            "product",
            key: ["account_id", "marketplace", "country", "product_code"],
            fixed: ["account_id": "$1::text", "marketplace": "$2::text", "country": "$3::text", "scope": "$4::text"],
            columns: ["product_code"] + columns,
            rows,
            compareOnly,
            connection
        )
    }

    private func listings(_ listings: [ListingRecord], _ compareOnly: Bool, _ connection: PGConnection) async throws
        -> Int
    {
        var rows = RowText()
        for listing in Self.newest(listings, key: \.id, time: \.updatedAt) {
            rows.begin()
            rows.field("marketplace_listing_id", listing.id)
            rows.field("product_code", listing.productCode)
            rows.field("sku", listing.sku)
            rows.field("asin", listing.asin)
            rows.field("url", listing.url)
            rows.field("status", listing.status)
            rows.field("source_updated_at", listing.updatedAt)
            rows.end()
        }
        let account = types.cast("$1::text", "product.account_id")
        let product =
            types.has("product.id")
            ? """
            (SELECT p.id FROM public.product p WHERE p.account_id = \(account) AND p.marketplace = $2::text
                AND p.country = $3::text AND p.product_code = x.product_code)
            """ : "NULL"
        return try await upsert(
            "listing",
            key: ["account_id", "marketplace_listing_id"],
            fixed: [
                "account_id": "$1::text", "marketplace": "$2::text", "country": "$3::text", "scope": "$4::text",
                "product_id": product,
            ],
            columns: [
                "marketplace_listing_id", "product_code", "sku", "asin", "url", "status", "source_updated_at",
            ],
            rows,
            compareOnly,
            connection
        )
    }

    /// One statement: inserts, and updates what differs and is not newer in the table (INV-9).
    private func upsert(
        _ table: String,
        key: [String],
        fixed: [String: String],
        columns: [String],
        _ rows: RowText,
        _ compareOnly: Bool,
        _ connection: PGConnection
    ) async throws -> Int {
        let fixedNames = fixed.keys.sorted()
        let names = fixedNames + columns
        let values =
            fixedNames.map { types.cast(fixed[$0] ?? "NULL", "\(table).\($0)") }
            + columns.map { types.cast("x.\($0)", "\(table).\($0)") }
        let record = columns.map { "\($0) text" }.joined(separator: ", ")
        let updated = names.filter { !key.contains($0) }
        let incoming = """
            SELECT \(zip(values, names).map { "\($0) AS \($1)" }.joined(separator: ", "))
            FROM jsonb_to_recordset($5::jsonb) AS x (\(record))
            """
        // $1 to $4 are always bound; this reads those that a table does not use.
        let bound = "$1::text IS NOT NULL AND $2::text IS NOT NULL AND $3::text IS NOT NULL AND $4::text IS NOT NULL"
        let differs = """
            (\(updated.map { "t.\($0)" }.joined(separator: ", ")))
                IS DISTINCT FROM (\(updated.map { "i.\($0)" }.joined(separator: ", ")))
            AND coalesce(t.source_updated_at <= i.source_updated_at, true)
            """
        let match = key.map { "t.\($0) = i.\($0)" }.joined(separator: " AND ")
        let parameters: [PGValue] = [
            .text(scope.accountID), .text(scope.source), .text(scope.country), .text(scope.scope), .json(rows.closed),
        ]
        if compareOnly {
            let found = try await connection.query(
                """
                SELECT count(*) FROM (\(incoming) WHERE \(bound)) i LEFT JOIN public.\(table) t ON \(match)
                WHERE t.account_id IS NULL OR (\(differs))
                """,
                parameters
            )
            return try found.rows.first?[0].int() ?? 0
        }
        let assignments = updated.map { "\($0) = excluded.\($0)" }.joined(separator: ", ")
        return try await connection.query(
            """
            INSERT INTO public.\(table) AS t (\(names.joined(separator: ", "))) \(incoming) WHERE \(bound)
            ON CONFLICT (\(key.joined(separator: ", "))) DO UPDATE SET \(assignments)
            WHERE \(differs.replacing("i.", with: "excluded."))
            """,
            parameters
        ).affectedRows
    }

    /// One record a key: the newest, and of equally new ones the last.
    static func newest<Record, Key: Hashable, Time: Comparable>(
        _ records: [Record],
        key: (Record) -> Key,
        time: (Record) -> Time
    ) -> [Record] {
        var position: [Key: Int] = [:]
        var kept: [Record] = []
        for record in records {
            if let at = position[key(record)] {
                if time(record) >= time(kept[at]) { kept[at] = record }
            } else {
                position[key(record)] = kept.count
                kept.append(record)
            }
        }
        return kept
    }
}
