import Engine
import Foundation
import Postgres
import Runtime

extension Puller {
    func settleLetters(_ rows: MappedRows, _ table: String, _ connection: PGConnection) async throws {
        let prefix = "\(scope.scope):\(table):"
        try await context.deadLetters.record(
            rows.refused.map {
                DeadLetter(
                    key: prefix + $0.key,
                    reason: $0.reason,
                    kind: TallyError.Kind.recordMalformed.rawValue,
                    columns: [],
                    fingerprint: nil
                )
            },
            in: connection
        )
        let refused = Set(rows.refused.map(\.key))
        let arrived = rows.products.map(\.code) + rows.listings.map(\.id) + rows.documents.map(\.id)
        try await context.deadLetters.resolve(
            keys: arrived.filter { !refused.contains($0) }.map { prefix + $0 },
            in: connection
        )
    }

    // MARK: What webhooks named

    private static let noticesPerPage = 25

    /// Reads again what webhooks said has changed; a notice is settled with the rows it led to.
    func readNotices(_ state: inout PullState) async throws {
        let pipeline = state.pipeline
        while true {
            let batch = try await target.withConnection {
                try await Notices.open(scope, pipeline, limit: Self.noticesPerPage, on: $0)
            }
            guard !batch.isEmpty else { return }
            state.isSweepAsked = state.isSweepAsked || batch.contains { $0.topic.hasSuffix("/delete") }
            let ids = Set(batch.compactMap(\.objectID)).sorted()
            let asked =
                ids.isEmpty
                ? MappedRows()
                : try await context.retrying("marketplace.fetch") {
                    try await source.objects(pipeline, ids: ids)
                }
            let rows = withoutDeleted(asked, batch, state)
            let plan = state.plan
            let changes = try await target.withConnection { connection -> MarketplaceStore.Changes in
                guard !context.options.dryRun else {
                    return try await connection.withTransaction(readOnly: true) { connection in
                        try await store.write(rows, plan.documents, compareOnly: true, in: connection)
                    }
                }
                return try await context.write(on: connection, durable: true) { connection in
                    let changes = try await store.write(rows, plan.documents, compareOnly: false, in: connection)
                    try await settleLetters(rows, pipeline.rawValue, connection)
                    try await Notices.settle(batch, scope, pipeline, on: connection)
                    return changes
                }
            }
            state.take(rows, changes)
            // A dry run settles nothing, so the next batch would be the same.
            if context.options.dryRun { return }
            MarketplaceMetric.rows(source: scope.source, changes)
        }
    }

    /// An order whose deletion was told, and that is gone indeed, keeps no lines.
    private func withoutDeleted(_ rows: MappedRows, _ batch: [Notice], _ state: PullState) -> MappedRows {
        var rows = rows
        let found = Set(rows.documents.map(\.id))
        for id in Set(batch.filter { $0.topic == "orders/delete" }.compactMap(\.objectID)).sorted()
        where state.plan.documents == .order && !found.contains(id) {
            let version = WireTime.version(now)
            rows.documents.append(DocumentRecord(id: id, version: version, status: "deleted", lines: []))
        }
        return rows
    }
}
