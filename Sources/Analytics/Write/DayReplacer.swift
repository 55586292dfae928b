import Engine
import Postgres
import Runtime

/// Puts staged days in the place of the stored ones, inside the window's transaction.
struct DayReplacer: Sendable {
    let runID: RunID
    /// How many erasures the reader knew; one more, and its rows may hold a person who is to be forgotten. Nil where no
    /// row is of a person.
    let erasures: Int?

    /// Replaces each changed day as a whole. The server's command tags must equal the plan (INV-11).
    ///
    /// Throws `.transactionConflict` when the day's rows or the erasures changed since they were read, `.proofFailed`
    /// when a tag differs from what was staged.
    func replace(_ staged: [StagedDay], on warehouse: PGConnection) async throws -> Int {
        if let erasures {
            try await warehouse.execute("LOCK TABLE analytics.erasures IN SHARE MODE")
            let known = try await warehouse.query("SELECT count(*) FROM analytics.erasures").rows
            guard try known.first?[0].int() == erasures else { throw Self.changed("somebody was erased") }
        }
        var written = 0
        for day in staged where day.isChanged {
            written += try await replace(day, on: warehouse)
        }
        return written
    }

    private func replace(_ staged: StagedDay, on warehouse: PGConnection) async throws -> Int {
        let measure = staged.measure
        if measure.isMonthly, staged.after.count > 0 {
            _ = try await warehouse.query(
                "SELECT analytics.ensure_month($1::text::regclass, $2::text::date)",
                [.text(measure.table), .text("\(staged.day)")]
            )
        }
        let condition = measure.isSnapshot ? "" : " WHERE \(measure.dayColumn) = $1::text::date"
        let removed = try await warehouse.query(
            "DELETE FROM \(measure.table)\(condition)",
            measure.isSnapshot ? [] : [.text("\(staged.day)")]
        )
        guard removed.affectedRows == staged.before.count else { throw Self.changed("\(measure.name) was written") }
        // In the order of the key: the index grows page by page, in half the time that tokens in any order take.
        let inserted = try await warehouse.query(
            """
            INSERT INTO \(measure.table) (\(measure.columnList), run_id, computed_at)
            SELECT \(measure.columnList), $2, now() FROM \(WindowStage.table(measure))
            WHERE \(measure.dayColumn) = $1::text::date
            ORDER BY \(measure.keyList)
            """,
            [.text("\(staged.day)"), .uuid(runID.rawValue)]
        )
        guard inserted.affectedRows == staged.after.count else {
            throw TallyError(
                .proofFailed,
                during: "analytics.replace",
                "\(measure.name) of \(staged.day): \(staged.after.count) rows were staged, "
                    + "\(inserted.affectedRows) were written"
            )
        }
        return inserted.affectedRows
    }

    private static func changed(_ what: String) -> TallyError {
        TallyError(.transactionConflict, during: "analytics.replace", "\(what) between reading and writing")
    }
}
