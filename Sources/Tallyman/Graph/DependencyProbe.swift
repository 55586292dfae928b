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
