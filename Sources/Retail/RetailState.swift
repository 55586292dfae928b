package import Postgres
import Runtime

/// How far silver is behind bronze, and how fresh its tables are.
package struct RetailState: Sendable {
    /// Ids between the last sale of bronze and the last of silver.
    package let lag: Int64
    /// When the newest file that a table holds was written, in seconds since 1970; a table without files has none.
    ///
    /// Rows that did not change keep their `_ingestion_ts`, so that says nothing about how fresh the table is.
    package let freshAt: [BronzeEntity: Double]

    /// Reads both from the warehouse.
    package static func read(_ warehouse: PGPool) async throws -> RetailState {
        try await warehouse.withConnection { connection in
            let ids = try await connection.query(
                """
                SELECT greatest(0, coalesce((SELECT last_sales_id FROM meta.ingestion_state
                    WHERE source_name = 'sales'), 0) - coalesce((SELECT max(id) FROM silver.sales_customer), 0))::bigint
                """
            ).rows.first
            let rows = try await connection.query(
                """
                SELECT entity, extract(epoch FROM max(created_at))::float8 FROM meta.bronze_files
                WHERE loaded_at IS NOT NULL GROUP BY entity
                """
            ).rows
            var freshAt: [BronzeEntity: Double] = [:]
            for row in rows {
                if let entity = BronzeEntity(rawValue: try row[0].string()) { freshAt[entity] = try row[1].double() }
            }
            return RetailState(lag: try ids?[0].int64() ?? 0, freshAt: freshAt)
        }
    }
}
