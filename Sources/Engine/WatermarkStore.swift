package import Postgres
import Runtime

/// A position as operators see it: where it is kept and what it says.
package struct OperatorWatermark: Sendable {
    /// Role of the database that keeps it.
    package let database: String
    package let stored: StoredWatermark
}

/// Positions of all databases, as many as were asked for.
package struct WatermarkList: Sendable {
    package var marks: [OperatorWatermark]
    /// There are more than these.
    package var isCut: Bool

    package init(marks: [OperatorWatermark] = [], isCut: Bool = false) {
        self.marks = marks
        self.isCut = isCut
    }
}

/// Watermarks of all targets, to be looked at and moved by an operator.
package struct WatermarkStore: Sendable {
    private let targets: [(role: String, pool: PGPool)]

    /// Targets by role; one database under two roles is read once, under the first.
    package init(_ targets: [(role: String, pool: PGPool)]) {
        var distinct: [(role: String, pool: PGPool)] = []
        for target in targets where !distinct.contains(where: { $0.pool === target.pool }) { distinct.append(target) }
        self.targets = distinct
    }

    /// Positions of `source`, or of all, databases in their order; of each table and account the last `scopes`.
    package func list(source: String? = nil, scopes: Int = Watermarks.listMax) async throws -> WatermarkList {
        var all = WatermarkList()
        for target in targets {
            let (stored, isCut) = try await target.pool.withConnection {
                try await Watermarks.list(source: source, scopes: scopes, on: $0)
            }
            all.marks += stored.map { OperatorWatermark(database: target.role, stored: $0) }
            all.isCut = all.isCut || isCut
        }
        return all
    }

    /// One position; nil when there is none. Throws `.notFound` for an unknown database.
    package func find(_ key: WatermarkKey, in database: String) async throws -> OperatorWatermark? {
        try await pool(database).withConnection { try await Watermarks.find(key, on: $0) }
            .map { OperatorWatermark(database: database, stored: $0) }
    }

    /// Moves a position, also back; the next run reads from there. Throws `.notFound` for an unknown database.
    package func set(_ key: WatermarkKey, to watermark: Watermark, in database: String) async throws {
        try await pool(database).withConnection { try await Watermarks.set(key, to: watermark, on: $0) }
    }

    /// Forgets a position, so that the next run reads everything; false when there is none.
    package func delete(_ key: WatermarkKey, in database: String) async throws -> Bool {
        try await pool(database).withConnection { try await Watermarks.delete(key, on: $0) }
    }

    private func pool(_ role: String) throws -> PGPool {
        guard let target = targets.first(where: { $0.role == role }) else {
            let known = targets.map(\.role).joined(separator: ", ")
            throw TallyError(
                .notFound,
                during: "watermarks.find",
                "there is no such database",
                remedy: "Known: \(known)."
            )
        }
        return target.pool
    }
}
