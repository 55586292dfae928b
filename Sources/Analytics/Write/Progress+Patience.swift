import Engine
import Postgres
import Runtime
import Synchronization

extension Progress {
    /// Runs statements of an open transaction that may be silent for long without being stuck.
    ///
    /// The watchdog of stalls looks away meanwhile; in its place the server ends a statement of the transaction that
    /// takes longer than `limit`, and the run fails with `.deadlineExceeded`.
    func patiently<Result: Sendable>(
        _ limit: Duration,
        on connection: PGConnection,
        _ body: () async throws -> Result
    ) async throws -> Result {
        try await limitStatements(to: limit, on: connection)
        note(waiting: true)
        defer { note(waiting: false) }
        return try await body()
    }

    /// Lets the server end each further statement of the open transaction that takes longer.
    func limitStatements(to limit: Duration, on connection: PGConnection) async throws {
        try await connection.execute("SET LOCAL statement_timeout = \(Self.milliseconds(limit))")
    }

    /// The same for a transaction that only reads; it may be idle for as long, while another session reads under its
    /// snapshot.
    func limitReading(to limit: Duration, on connection: PGConnection) async throws {
        try await limitStatements(to: limit, on: connection)
        try await connection.execute("SET LOCAL idle_in_transaction_session_timeout = \(Self.milliseconds(limit))")
    }

    private static func milliseconds(_ limit: Duration) -> Int64 { Int64(limit / .milliseconds(1)) }
}

/// A wait on purpose that ends with the first sign of life: a session that came free, or the first rows.
final class Silence: Sendable {
    private let progress: Progress
    private let isOver = Mutex(false)

    init(_ progress: Progress) {
        self.progress = progress
        progress.note(waiting: true)
    }

    /// Ends the wait; later calls change nothing.
    func end() {
        let wasOver = isOver.withLock { isOver in
            defer { isOver = true }
            return isOver
        }
        if !wasOver { progress.note(waiting: false) }
    }
}
