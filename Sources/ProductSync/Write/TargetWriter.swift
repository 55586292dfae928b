package import Engine
package import Postgres
import Runtime

/// Writes row images into the target: COPY straight for new rows, a staging table for everything that must look first.
///
/// Every method is one fenced transaction whose command tags must equal its plan, or it is rolled back (INV-11). A row
/// that was staged is written, or somebody else has changed it: one that is neither was dropped by the server.
package struct TargetWriter: Sendable {
    /// Lets a test leave rows out of a COPY, to prove that the run then fails; nil in production.
    package typealias Fault = @Sendable (_ row: Int) -> Bool

    let pool: PGPool
    let plan: ColumnPlan
    let context: RunContext
    let fault: Fault?

    package init(pool: PGPool, plan: ColumnPlan, context: RunContext, fault: Fault? = nil) {
        self.pool = pool
        self.plan = plan
        self.context = context
        self.fault = fault
    }

    private var keySQL: String { PGIdentifier.quote(plan.columns[0].name) }
    private static let stage = "pg_temp.tallyman_stage"

    /// One fenced transaction of the run.
    func transaction<Result: Sendable>(
        durable: Bool = false,
        sharing: Bool = false,
        _ body: (PGConnection) async throws -> Result
    ) async throws -> Result {
        try await pool.withConnection { connection in
            try await context.write(on: connection, durable: durable, sharing: sharing, body)
        }
    }

    /// Adds rows that the target does not have. Throws the server's error when one of them cannot stand.
    package func insert(_ rows: RowBatch) async throws {
        // Rows of two lanes have different keys, so they need not wait for each other.
        try await transaction(sharing: true) { connection in
            try await connection.copyInStart(
                "COPY \(plan.tableSQL) (\(plan.columnsSQL)) FROM STDIN (FORMAT binary)"
            )
            try await connection.copyInSend(payload(rows))
            try await context.failpoint.reach("insert.sent")
            let written = try await connection.copyInFinish()
            try Self.prove(written, planned: rows.count, during: "sync.insert")
        }
    }

    private func payload(_ rows: RowBatch) -> [UInt8] {
        guard let fault else { return rows.bytes }
        var kept = RowBatch()
        for row in 0..<rows.count where !fault(row) { kept.append(rows.image(row)) }
        return kept.bytes
    }

    private static func prove(_ written: Int, planned: Int, during stage: StaticString) throws {
        guard written == planned else {
            throw TallyError(
                .proofFailed,
                during: stage,
                "the server confirmed \(written) rows where \(planned) were planned",
                remedy: "The batch was rolled back. Look for a trigger or rule on the table that drops rows."
            )
        }
    }

    /// Adds rows unless their key is there by now; the keys that were not added.
    package func insertAbsent(_ rows: RowBatch) async throws -> [[UInt8]] {
        try await transaction { connection in
            try await fillStage(connection, source: rows, target: nil)
            let names = plan.columns.indices.map { "n\($0)" }.joined(separator: ", ")
            let added = try await written(
                connection,
                rows,
                "INSERT INTO \(plan.tableSQL) (\(plan.columnsSQL)) SELECT \(names) FROM \(Self.stage) "
                    + "ON CONFLICT (\(keySQL)) DO NOTHING RETURNING \(keySQL)",
                dropped: "SELECT n0 FROM \(Self.stage) "
                    + "WHERE NOT EXISTS (SELECT FROM \(plan.tableSQL) t WHERE t.\(keySQL) = n0)"
            )
            return rows.keys.filter { !added.contains($0) }
        }
    }

    /// Updates each row that still equals the image it was compared with; the keys that were updated (INV-9).
    ///
    /// Where the mapping names a version column, a row is updated unless its version is newer than the document's.
    package func update(_ source: RowBatch, replacing target: RowBatch) async throws -> Set<[UInt8]> {
        try await transaction(sharing: true) { connection in
            try await fillStage(connection, source: source, target: target)
            let assignments = plan.columns.indices.dropFirst()
                .map { "\(PGIdentifier.quote(plan.columns[$0].name)) = s.n\($0)" }.joined(separator: ", ")
            return try await written(
                connection,
                source,
                "UPDATE \(plan.tableSQL) t SET \(assignments) FROM \(Self.stage) s "
                    + "WHERE t.\(keySQL) = s.n0 AND \(versionGuardSQL ?? imageGuardSQL) RETURNING t.\(keySQL)",
                dropped: unchangedSQL
            )
        }
    }

    /// Deletes each row that still equals the image it was compared with; the keys that were deleted.
    package func delete(_ orphans: RowBatch) async throws -> Set<[UInt8]> {
        try await transaction { connection in
            try await fillStage(connection, source: orphans, target: orphans)
            return try await written(
                connection,
                orphans,
                "DELETE FROM \(plan.tableSQL) t USING \(Self.stage) s "
                    + "WHERE t.\(keySQL) = s.n0 AND \(imageGuardSQL) RETURNING t.\(keySQL)",
                dropped: unchangedSQL
            )
        }
    }

    /// Marks each orphan that still equals its image; the keys that were marked.
    package func mark(_ orphans: RowBatch, column index: Int) async throws -> Set<[UInt8]> {
        let column = plan.columns[index]
        let value = column.type == .bool ? "true" : "now()"
        return try await transaction { connection in
            try await fillStage(connection, source: orphans, target: orphans)
            return try await written(
                connection,
                orphans,
                "UPDATE \(plan.tableSQL) t SET \(PGIdentifier.quote(column.name)) = \(value) FROM \(Self.stage) s "
                    + "WHERE t.\(keySQL) = s.n0 AND \(imageGuardSQL) RETURNING t.\(keySQL)",
                dropped: unchangedSQL
            )
        }
    }

    /// An empty transaction that is synchronous: all asynchronous commits before it are durable when it returns.
    package func makeDurable() async throws {
        try await context.retrying("target.durable") { try await transaction(durable: true) { _ in } }
    }

    /// That the row is not newer than the document, as `ImageComparison.isGreater` says it: text goes by its bytes.
    private var versionGuardSQL: String? {
        guard let version = plan.versionColumn else { return nil }
        let name = PGIdentifier.quote(plan.columns[version].name)
        let order = plan.columns[version].type.isText ? "::text COLLATE \"C\"" : ""
        return "(t.\(name) IS NULL OR t.\(name)\(order) <= s.n\(version)\(order))"
    }

    private var imageGuardSQL: String {
        let parts = plan.columns.indices.dropFirst().map { index in
            let cast = plan.columns[index].type.hasEquality ? "" : "::text"
            return "t.\(PGIdentifier.quote(plan.columns[index].name))\(cast) IS NOT DISTINCT FROM s.o\(index)\(cast)"
        }
        return parts.isEmpty ? "true" : parts.joined(separator: " AND ")
    }

    /// One row per key: the source's values as n0…, the target's, where there are any, as o1… . Gone with the
    /// transaction. The columns keep their types, also a domain that refuses NULL.
    private func fillStage(_ connection: PGConnection, source: RowBatch, target: RowBatch?) async throws {
        let new = plan.columns.enumerated().map { "\(PGIdentifier.quote($1.name)) AS n\($0)" }
        let old =
            target == nil
            ? [] : plan.columns.enumerated().dropFirst().map { "\(PGIdentifier.quote($1.name)) AS o\($0)" }
        try await connection.execute(
            "CREATE TEMPORARY TABLE tallyman_stage ON COMMIT DROP AS "
                + "SELECT \((new + old).joined(separator: ", ")) FROM \(plan.tableSQL) WITH NO DATA"
        )
        try await connection.copyInStart("COPY \(Self.stage) FROM STDIN (FORMAT binary)")
        var bytes: [UInt8] = []
        for row in 0..<source.count {
            bytes.appendBigEndian(Int16(new.count + old.count))
            bytes.append(source.bytes.span, (source.range(row).lowerBound + 2)..<source.range(row).upperBound)
            if let target {
                let image = target.range(row)
                bytes.append(
                    target.bytes.span,
                    RowImage.key(target.bytes.span, at: image.lowerBound).upperBound..<image.upperBound
                )
            }
        }
        try await connection.copyInSend(bytes)
        try Self.prove(try await connection.copyInFinish(), planned: source.count, during: "sync.stage")
        try await context.failpoint.reach("update.staged")
    }

    /// The keys of staged rows that still are what they were compared with: nothing kept them from being written.
    private var unchangedSQL: String {
        let guards = [versionGuardSQL, imageGuardSQL].compactMap(\.self).joined(separator: " AND ")
        return "SELECT t.\(keySQL) FROM \(plan.tableSQL) t JOIN \(Self.stage) s ON t.\(keySQL) = s.n0 WHERE \(guards)"
    }

    /// Carries out a statement over the staged `rows`; the keys it returns are those that were written.
    ///
    /// Every other row must be excused: `dropped` selects the keys of those that are not.
    private func written(
        _ connection: PGConnection,
        _ rows: RowBatch,
        _ sql: String,
        dropped: String
    ) async throws -> Set<[UInt8]> {
        let result = try await connection.query(sql)
        let keys = Set(result.rows.compactMap { $0[0].bytes })
        try Self.prove(result.affectedRows, planned: keys.count, during: "sync.write")
        guard keys.count != rows.count else { return keys }
        let left = Set(rows.keys).subtracting(keys)
        // Fewer where two rows have one key: one of them would be lost (INV-5).
        try Self.prove(keys.count + left.count, planned: rows.count, during: "sync.write")
        let unexcused = Set(try await connection.query(dropped).rows.compactMap { $0[0].bytes }).intersection(left)
        try Self.prove(keys.count, planned: keys.count + unexcused.count, during: "sync.write")
        return keys
    }
}

extension FieldType {
    fileprivate var isText: Bool {
        switch self {
        case .text, .padded: true
        default: false
        }
    }

    /// Whether PostgreSQL has `=` for the type; json has none.
    fileprivate var hasEquality: Bool {
        switch self {
        case .json: false
        case .array(let element, _): element.hasEquality
        default: true
        }
    }
}
