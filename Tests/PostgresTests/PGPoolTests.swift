import Postgres
import Runtime
import TestKit
import Testing

/// What a pool lends comes back whole, whoever gives up waiting and whenever.
@Suite struct PGPoolTests {
    private static func pool(_ width: Int, url: String? = nil, wait: Duration) throws -> PGPool {
        PGPool(
            PGSettings(url: Secret(try url ?? TestPostgres.shared().adminURL), applicationName: "pool-test"),
            maxConnections: width,
            acquireTimeout: wait
        )
    }

    /// Places whose turn comes as their waiter gives up, or is cancelled, go to the next.
    @Test func whoGivesUpTakesNoPlaceAlong() async throws {
        let pool = try Self.pool(2, wait: .microseconds(300))
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<40 {
                group.addTask {
                    for _ in 0..<50 {
                        let one = Task { try? await pool.withConnection { _ in await Task.yield() } }
                        if number % 2 == 0 { one.cancel() }
                        _ = await one.value
                    }
                }
            }
            try await group.waitForAll()
        }
        // Both at once: neither place is missing.
        try await pool.withConnection { _ in try await pool.withConnection { _ in } }
        #expect(pool.stats.waiting == 0)
        await pool.close()
    }
}
