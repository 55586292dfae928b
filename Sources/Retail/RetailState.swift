package import Postgres
import Runtime

/// How far silver is behind bronze, and how old its tables are.
package struct RetailState: Sendable {
    /// Ids between the last sale of bronze and the last of silver.
    package let lag: Int64
    /// Seconds since a row last changed; a table without rows has none.
    package let ages: [BronzeEntity: Double]

    /// Reads both from the warehouse.
    package static func read(_ warehouse: PGPool) async throws -> RetailState {
        try await warehouse.withConnection { connection in
            let ids = try await connection.query(
                """
                SELECT greatest(0, coalesce((SELECT last_sales_id FROM meta.ingestion_state
                    WHERE source_name = 'sales'), 0) - coalesce((SELECT max(id) FROM silver.sales_customer), 0))::bigint
                """
            ).rows.first
            var ages: [BronzeEntity: Double] = [:]
            for entity in BronzeEntity.allCases {
                let row = try await connection.query(
                    "SELECT extract(epoch FROM clock_timestamp() - max(_ingestion_ts))::float8 "
                        + "FROM silver.\(entity.rawValue)"
                ).rows.first
                if let row, !row[0].isNull { ages[entity] = try row[0].double() }
            }
            return RetailState(lag: try ids?[0].int64() ?? 0, ages: ages)
        }
    }
}
