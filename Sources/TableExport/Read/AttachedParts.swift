import Postgres

extension ExportPass {
    /// Partitions, or tables that inherit, which became part of the source since a mark; their rows may be older.
    ///
    /// Empty where ids cannot be compared; a row of `pg_inherits` has the id of the transaction that attached.
    func attachedParts(since previous: SnapshotMark?, _ read: BackwardRead) async throws -> [Int64] {
        guard plan.hasParts, read != .nothing, let previous, let there = previous.visible,
            mark.sharesHistory(with: previous)
        else { return [] }
        let isNew =
            "age(i.xmin) BETWEEN 0 AND (SELECT age('\(UInt32(truncatingIfNeeded: there.xmin))'::xid))"
        return try await from.query(
            """
            WITH RECURSIVE part AS (
                SELECT i.inhrelid, \(isNew) AS is_new FROM pg_inherits i
                WHERE i.inhparent = \(PGIdentifier.quoteLiteral(plan.sourceSQL))::regclass
                UNION ALL
                SELECT i.inhrelid, part.is_new OR \(isNew) FROM part JOIN pg_inherits i ON i.inhparent = part.inhrelid
            )
            SELECT DISTINCT inhrelid::int8 FROM part WHERE is_new ORDER BY 1
            """
        ).rows.map { try $0[0].int64() }
    }
}
