import Engine
import Logging
import Postgres
import Runtime
import Telemetry

/// A second session of the source that reads measures of a window under the snapshot of the first.
///
/// Most of these queries keep one processor of the source busy at a time; two at once take little longer than one.
struct StageAssistant: Sendable {
    let source: PGPool
    let progress: Progress
    let statementTimeout: Duration
    let logger: Logger

    /// Names the snapshot of an open transaction, for as long as it is open.
    static func snapshot(of source: PGConnection) async throws -> String {
        guard let row = try await source.query("SELECT pg_catalog.pg_export_snapshot()").rows.first else {
            throw TallyError(.sourceUnreachable, during: "analytics.snapshot", "the source gave no snapshot")
        }
        let name = try row[0].string()
        guard name.utf8.allSatisfy({ $0 == 0x2D || (0x30...0x39).contains($0) || (0x41...0x46).contains($0) }) else {
            throw TallyError(.schemaMismatch, during: "analytics.snapshot", "the snapshot has an unexpected name")
        }
        return name
    }

    /// Reads items until none is left. Without a session that can take the snapshot over it does nothing: the first
    /// session then reads all. What befalls it when everything is read changes nothing either.
    func help(_ stage: WindowStage, _ queue: StageQueue, _ snapshot: String) async throws {
        do {
            try await source.withConnection { source in
                try await source.withTransaction(isolation: .repeatableRead, readOnly: true) { source in
                    try await source.execute("SET TRANSACTION SNAPSHOT '\(snapshot)'")
                    try await progress.limitReading(to: statementTimeout, on: source)
                    queue.isAssisted = true
                    try await stage.work(queue, source)
                }
            }
        } catch {
            if queue.isDone { return }
            guard !queue.isAssisted else { throw error }
            // Cancelled: the first session failed and says why.
            guard !Task.isCancelled, let error = error as? TallyError else { return }
            // Such as a pool of several servers, whose snapshots are their own.
            logger.event(
                .warning,
                "no second session at the source could help; one reads every measure",
                [.kind: error.kind.rawValue]
            )
        }
    }
}
