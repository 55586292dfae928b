import Runtime
import Synchronization

/// At most `maxConnections` sessions, lent for the length of a closure.
///
/// A session that broke is dropped; one that comes back in a transaction is rolled back first. An idle session that
/// turns out dead is replaced once without the caller noticing.
package final class PGPool: Sendable {
    package struct Stats: Sendable, Equatable {
        package let open: Int
        package let idle: Int
        package let waiting: Int
    }

    private struct State {
        var idle: [PGConnection] = []
        var lent = 0
        var closed = false
        var lost = 0
    }

    package let settings: PGSettings
    package let maxConnections: Int
    private let acquireTimeout: Duration
    private let slots: Slots
    private let state = Mutex(State())

    package init(_ settings: PGSettings, maxConnections: Int = 4, acquireTimeout: Duration = .seconds(10)) {
        self.settings = settings
        self.maxConnections = max(1, maxConnections)
        self.acquireTimeout = acquireTimeout
        slots = Slots(capacity: maxConnections)
    }

    package var stats: Stats {
        let waiting = slots.counts.waiting
        return state.withLock { Stats(open: $0.idle.count + $0.lent, idle: $0.idle.count, waiting: waiting) }
    }

    /// How many sessions turned out to be dead, idle or lent, since the pool was made.
    ///
    /// A server that crashed has ended every session, also the one that committed last: that one is found dead when it
    /// is lent again or given back. So whoever commits asynchronously compares this number around its work, and when it
    /// rose the server may have forgotten commits.
    package var sessionsLost: Int { state.withLock { $0.lost } }

    /// Lends a session to `body`. Throws `.serverBusy` when none came free within the acquire timeout.
    package func withConnection<Result: Sendable>(
        _ body: (PGConnection) async throws -> Result
    ) async throws -> Result {
        let slot = try await slot()
        defer { withExtendedLifetime(slot) {} }
        let connection = try await take()
        state.withLock { $0.lent += 1 }
        do {
            let result = try await body(connection)
            await give(back: connection)
            return result
        } catch {
            await give(back: connection)
            throw error
        }
    }

    private func slot() async throws -> Slots.Slot {
        do {
            return try await slots.acquire(within: acquireTimeout, during: "postgres.pool")
        } catch let error as TallyError where error.kind == .deadlineExceeded {
            throw TallyError(
                .serverBusy,
                during: "postgres.pool",
                "no connection to \(settings.databaseLabel) came free within \(acquireTimeout)",
                cause: error
            )
        }
    }

    private func take() async throws -> PGConnection {
        while let connection = state.withLock({ $0.idle.popLast() }) {
            if !connection.isBroken, await connection.isAlive() { return connection }
            state.withLock { $0.lost += 1 }
            await connection.close()
        }
        return try await PGConnection.connect(settings)
    }

    /// Not cancellable: a session given back half-way would be lost to the pool.
    private func give(back connection: PGConnection) async {
        await connection.abandon()
        let keep = state.withLock { state -> Bool in
            state.lent -= 1
            if connection.isBroken { state.lost += 1 }
            guard !connection.isBroken, !state.closed else { return false }
            state.idle.append(connection)
            return true
        }
        if !keep { await connection.close() }
    }

    package func close() async {
        let idle = state.withLock { state -> [PGConnection] in
            defer { state.idle = [] }
            state.closed = true
            return state.idle
        }
        for connection in idle { await connection.close() }
    }
}
