import Engine
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

    /// nil before the first verification.
    static func read(_ key: String, on connection: PGConnection) async throws -> ExportDrift? {
        let row = try await connection.query(
            "SELECT missing, stale, extra FROM etl.table_exports WHERE key = $1 AND missing IS NOT NULL",
            [.text(key)]
        ).rows.first
        return try row.map { ExportDrift(missing: try $0[0].int(), stale: try $0[1].int(), extra: try $0[2].int()) }
    }

    func write(_ key: String, on connection: PGConnection) async throws {
        _ = try await connection.query(
            "UPDATE etl.table_exports SET missing = $2, stale = $3, extra = $4 WHERE key = $1",
            [.text(key), .int(Int64(missing)), .int(Int64(stale)), .int(Int64(extra))]
        )
    }
}
