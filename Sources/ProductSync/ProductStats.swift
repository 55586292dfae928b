import Engine
package import Mongo
package import Postgres
package import Runtime

/// Counts and sizes of both sides, as they are now.
package enum ProductStats {
    /// Costs a count on each side; sizes come from the servers' own statistics.
    package static func collect(
        mapping: SyncMapping,
        mongo: MongoPool,
        cart: PGPool
    ) async throws -> JSONValue {
        let count = try await mongo.withSession {
            try await $0.count(mapping.collection, filter: BSONBuilder().finish())
        }
        let table = (mapping.schema.map { PGIdentifier.quote($0) + "." } ?? "") + PGIdentifier.quote(mapping.table)
        let row = try await cart.withConnection { connection in
            try await connection.query(
                "SELECT count(*), pg_total_relation_size($1::text::regclass), "
                    + "pg_relation_size($1::text::regclass) FROM \(table)",
                [.text(table)]
            )
        }
        guard let first = row.rows.first else { return .null }
        return [
            "source": ["collection": .string(mapping.collection), "count": .int(count)],
            "target": [
                "table": .string(mapping.table), "count": .int(try first[0].int()),
                "totalBytes": .int(try first[1].int()), "tableBytes": .int(try first[2].int()),
            ],
        ]
    }
}
