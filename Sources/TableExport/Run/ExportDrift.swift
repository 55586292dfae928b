import Engine
import Foundation
import Postgres
import Runtime

/// How many rows a verification found to differ; the target keeps what the last one left, for every replica to tell.
struct ExportDrift: Sendable, Equatable {
    let missing: Int
    let stale: Int
    let extra: Int
}

extension ExportDrift {
    /// Of a run's counts; nil when it did not verify.
    init?(counts: [String: JSONValue]) {
        guard let missing = counts["missing"]?.int, let stale = counts["stale"]?.int, let extra = counts["extra"]?.int
        else { return nil }
        self.init(missing: missing, stale: stale, extra: extra)
    }

    /// What is kept, and since when; nil before the first verification.
    static func read(_ key: String, on connection: PGConnection) async throws -> (drift: ExportDrift, at: Date)? {
        let row = try await connection.query(
            "SELECT missing, stale, extra, verified_at FROM etl.table_exports WHERE key = $1 AND missing IS NOT NULL",
            [.text(key)]
        ).rows.first
        return try row.map { row in
            let drift = ExportDrift(missing: try row[0].int(), stale: try row[1].int(), extra: try row[2].int())
            return (drift, try row[3].date())
        }
    }

    func write(_ key: String, on connection: PGConnection) async throws {
        _ = try await connection.query(
            "UPDATE etl.table_exports SET missing = $2, stale = $3, extra = $4, verified_at = clock_timestamp() "
                + "WHERE key = $1",
            [.text(key), .int(Int64(missing)), .int(Int64(stale)), .int(Int64(extra))]
        )
    }

    /// All rows were read anew and written: what was missing or stale is so no more.
    static func settle(_ key: String, on connection: PGConnection) async throws {
        _ = try await connection.query(
            "UPDATE etl.table_exports SET missing = 0, stale = 0, verified_at = clock_timestamp() "
                + "WHERE key = $1 AND missing IS NOT NULL",
            [.text(key)]
        )
    }
}
