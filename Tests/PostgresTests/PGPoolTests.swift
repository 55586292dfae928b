import Foundation
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

    /// A request to cancel that is still on its way when its statement ends by itself stops no other one.
    @Test func aLateCancelStopsNobodyElse() async throws {
        let admin = try TestPostgres.shared().adminURL
        let parts = try #require(URLComponents(string: admin))
        let proxy = try TCPProxy(to: try #require(parts.port))
        defer { proxy.close() }
        var through = parts
        through.port = proxy.port
        let pool = try Self.pool(1, url: through.string, wait: .seconds(10))
        let watch = try Self.pool(1, wait: .seconds(10))
        let pid = try await pool.withConnection { $0.backendPID }
        let first = Task { try await pool.withConnection { try await $0.query("SELECT pg_sleep(0.4)") } }
        var isAsleep = false
        while !isAsleep {
            isAsleep =
                try await watch.withConnection {
                    try await $0.query(
                        "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1",
                        [.int(Int64(pid))]
                    )
                }.rows.first?[0].bool() ?? false
        }
        proxy.hold(true)
        first.cancel()
        // Whether it was stopped or had ended by itself: it is over, and the session goes back.
        _ = await first.result
        proxy.hold(false)
        for _ in 0..<3 {
            _ = try await pool.withConnection { try await $0.query("SELECT pg_sleep(0.2)") }
        }
        await pool.close()
        await watch.close()
    }
}
