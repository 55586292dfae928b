import ConfigFile
import Engine
import Postgres
import Runtime

/// Finds rows of the target that the source has no more, by the keys that the run's snapshot shows.
struct DeletedKeys {
    let plan: ExportPlan
    let context: RunContext
    let from: PGConnection
    let into: PGConnection
    let state: ExportState
    let book: TallyBook

    struct Result: Sendable, Equatable {
        var deleted = 0
        var marked = 0
    }

    private static let table = "pg_temp.tallyman_export_keys"

    /// Removes or marks them when the definition says so and the compare is due; false when it was not made.
    ///
    /// Throws `.changeImplausible` when there are more than the definition's share of the target (INV-6).
    func run() async throws -> Bool {
        let policy = plan.definition.deletes
        let isAsked = context.options.verify == true || context.options.full == true
        guard policy != .ignore, state.isDeleteCompareDue || isAsked else { return false }
        context.progress.stage("deleted keys")
        let keys = plan.keyColumns
        let list = plan.keySQL
        try await into.execute(
            "DROP TABLE IF EXISTS \(Self.table); CREATE TEMPORARY TABLE tallyman_export_keys AS "
                + "SELECT \(list) FROM \(plan.targetSQL) WITH NO DATA"
        )
        let expressions = keys.compactMap { key in plan.columns.first { $0.target == key }?.sql }
        let sourceKeys = try await copyKeys(expressions)
        book.noteWriting()
        let result = try await context.write(on: into, durable: false) { connection in
            try await remove(policy, sourceKeys: sourceKeys, on: connection)
        }
        book.add(removed: result)
        try await into.execute("DROP TABLE IF EXISTS \(Self.table)")
        try await context.failpoint.reach("export.removed")
        return true
    }

    private func copyKeys(_ expressions: [String]) async throws -> Int {
        let statement = ReadStatement(plan: plan)
        let format = plan.format
        let select = statement.select(expressions, where: "true")
        try await from.copyOutStart("COPY (\(select)) TO STDOUT (FORMAT \(format.rawValue))", format: format)
        try await into.copyInStart("COPY \(Self.table) FROM STDIN (FORMAT \(format.rawValue))", format: format)
        var sent = 0
        while let chunk = try await from.copyOutNext() {
            try await into.copyInSend(chunk.bytes)
            sent += chunk.rowStarts.count
            context.progress.add(compared: chunk.rowStarts.count)
        }
        let confirmed = try await into.copyInFinish()
        guard confirmed == sent else {
            throw TallyError(.proofFailed, during: "export.deletes", "\(confirmed) of \(sent) keys arrived")
        }
        try await into.execute("CREATE INDEX ON \(Self.table) (\(plan.keySQL)); ANALYZE \(Self.table)")
        return sent
    }

    private func remove(
        _ policy: DeletePolicy,
        sourceKeys: Int,
        on connection: PGConnection
    ) async throws -> Result {
        let match = plan.keyColumns.map(PGIdentifier.quote).map { "k.\($0) = t.\($0)" }.joined(separator: " AND ")
        // Rows that are marked already were judged when they were.
        let present = plan.mark.map { "NOT (\($0.isMarked("t")))" } ?? "true"
        let absent = "\(present) AND NOT EXISTS (SELECT 1 FROM \(Self.table) k WHERE \(match))"
        let row = try await connection.query(
            "SELECT count(*) FILTER (WHERE \(present)), count(*) FILTER (WHERE \(absent)) FROM \(plan.targetSQL) t"
        ).rows.first
        let (total, gone) = (try row?[0].int() ?? 0, try row?[1].int() ?? 0)
        guard gone > 0 else { return Result() }
        try guardShare(gone, of: total, sourceKeys: sourceKeys)
        let sql = plan.mark.map { "UPDATE \(plan.targetSQL) t SET \($0.sql) = \($0.marked)" }
        let affected = try await connection.query(
            "\(sql ?? "DELETE FROM \(plan.targetSQL) t") WHERE \(absent)"
        ).affectedRows
        // The fence keeps other runs out, so what was counted is what goes unless somebody writes by hand.
        guard affected <= gone else {
            throw TallyError(.proofFailed, during: "export.deletes", "\(affected) rows went where \(gone) were counted")
        }
        return plan.mark == nil ? Result(deleted: affected) : Result(marked: affected)
    }

    /// INV-6: a short or empty read of the source never empties the target.
    private func guardShare(_ gone: Int, of total: Int, sourceKeys: Int) throws {
        let percent = plan.definition.deletesPercentMax
        guard sourceKeys > 0, gone * 100 <= total * percent else {
            throw TallyError(
                .changeImplausible,
                during: "export.deletes",
                "\(gone) of \(total) rows of \(plan.targetSQL) are not in the source (\(sourceKeys) rows); "
                    + "the limit is \(percent) %",
                remedy: "Nothing was removed. Look at the source first; raise deletesMaxPercent if this is meant."
            )
        }
    }
}
