import Runtime

/// Lends sessions with one MongoDB deployment, at most `settings.poolMax` at a time.
///
/// The driver watches the servers in the background and reconnects by itself: a broken connection fails one call, the
/// next session gets a new one. Waiting has a bound everywhere: for a slot, for a server, for a reply.
package final class MongoPool: Sendable {
    package struct Stats: Sendable, Equatable {
        package let inUse: Int
        package let waiting: Int
        package let max: Int

        package init(inUse: Int, waiting: Int, max: Int) {
            self.inUse = inUse
            self.waiting = waiting
            self.max = max
        }
    }

    package nonisolated let settings: MongoSettings
    private let source: ClientPoolSource
    private let slots: Slots
    /// A place of its own for `ping`, so that a busy pool is not taken for a dead server.
    private let pingSlots = Slots(capacity: 1)
    private let acquireTimeout: Duration

    /// Opens nothing yet: the first session does.
    package init(_ settings: MongoSettings, acquireTimeout: Duration = .seconds(10)) throws {
        MongoDriver.start()
        self.settings = settings
        self.acquireTimeout = acquireTimeout
        source = ClientPoolSource(settings, clientsMax: settings.poolMax + 1)
        slots = Slots(capacity: settings.poolMax)
    }

    /// Lends a session for the length of `body`; it is of no use afterwards.
    ///
    /// - Throws: `.deadlineExceeded` when no slot came free in time, and what `body` throws.
    package func withSession<R: Sendable>(_ body: (MongoSession) async throws -> R) async throws -> R {
        try await withSession(slots, within: acquireTimeout, body)
    }

    /// Asks the server whether it answers. Throws `.deadlineExceeded` after `timeout`, or why it does not.
    package func ping(timeout: Duration = .seconds(2)) async throws {
        try await withDeadline(timeout, during: "mongo.ping") {
            var command = BSONBuilder()
            command.append("ping", int32: 1)
            let document = command.finish()
            try await self.withSession(self.pingSlots, within: timeout) { session in
                _ = try await session.command(document)
            }
        }
    }

    /// Refuses further calls; those under way end, and the connections close behind them without being waited for.
    package func close() async {
        source.close()
    }

    package var stats: Stats {
        let counts = slots.counts
        return Stats(inUse: counts.used, waiting: counts.waiting, max: slots.capacity)
    }

    private func withSession<R: Sendable>(
        _ slots: Slots,
        within limit: Duration,
        _ body: (MongoSession) async throws -> R
    ) async throws -> R {
        try Task.checkCancellation()
        let slot = try await slots.acquire(within: limit, during: "mongo.acquire")
        let session = MongoSession(ClientLease(source, slot), database: settings.databaseName)
        defer { session.end() }
        return try await body(session)
    }
}
