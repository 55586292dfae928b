import API
import Mongo
import Postgres
import Runtime

/// Asks a database whether it answers; the reason of a failure is safe to show.
enum DependencyProbe {
    static func mongo(_ pool: MongoPool) async -> ProbeResult {
        await probe { try await pool.ping(timeout: .seconds(2)) }
    }

    static func postgres(_ pool: PGPool) async -> ProbeResult {
        await probe { try await pool.withConnection { _ = try await $0.query("SELECT 1") } }
    }

    /// Whether leases can be taken and renewed: the table is there, and the database takes writes.
    static func leases(_ state: PGPool) async -> ProbeResult {
        await probe {
            let answer = try await prepared {
                try await state.withConnection {
                    try await $0.query(
                        """
                        SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'
                        FROM (SELECT count(*) FROM etl.leases) AS leases
                        """
                    )
                }
            }
            guard try answer.rows.first?[0].bool() == false else {
                throw TallyError(.targetUnreachable, during: "probe", "the state database takes no writes")
            }
        }
    }

    static func probe(_ body: () async throws -> Void) async -> ProbeResult {
        do {
            try await body()
            return .ok
        } catch {
            let ours = TallyError.wrapping(error, during: "probe")
            return .failed("\(ours.kind.rawValue): \(ours.summary)")
        }
    }
}
