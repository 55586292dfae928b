package import Postgres
import Runtime

/// The types of the unified tables' columns: those of a schema taken over may be others than ours.
package struct ColumnTypes: Sendable {
    private let types: [String: String]

    /// Throws `.migrationsMissing` when a table is not there.
    package static func read(on connection: PGConnection) async throws -> ColumnTypes {
        let rows = try await connection.query(
            """
            SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod)
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.oid IN (to_regclass('public.product'), to_regclass('public.listing'),
                    to_regclass('public.sales_ts'), to_regclass('public.fees_ts'))
                AND a.attnum > 0 AND NOT a.attisdropped
            """
        ).rows
        var types: [String: String] = [:]
        for row in rows { types["\(try row[0].string()).\(try row[1].string())"] = try row[2].string() }
        for table in ["product", "listing", "sales_ts", "fees_ts"] where types["\(table).account_id"] == nil {
            throw TallyError(
                .migrationsMissing,
                during: "marketplace.schema",
                "table \(table) is missing",
                remedy: "Run `tallyman migrate up`."
            )
        }
        return ColumnTypes(types: types)
    }

    func has(_ column: String) -> Bool { types[column] != nil }

    /// `expression::type` for a column `table.column`; the expression as it is when there is no such column.
    func cast(_ expression: String, _ column: String) -> String {
        types[column].map { "(\(expression))::\($0)" } ?? expression
    }
}
