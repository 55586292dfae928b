import Postgres
import Runtime

/// Keeps a source that reads as empty from emptying the warehouse (INV-6).
struct EmptySource: Sendable {
    /// The source's main table, without a row of which the shop has none of what the job computes.
    let table: String
    let plan: DayPlan

    /// Throws `.changeImplausible` when the table has no row at all, under the snapshot that the rows were read in,
    /// while the warehouse holds rows of the run's days that would be gone.
    ///
    /// All the run's days count, not the window's alone: else the days before, of which nothing is there yet, would be
    /// marked as computed.
    func refuse(_ staged: [StagedDay], source: PGConnection, warehouse: PGConnection) async throws {
        // Without a row in the table there is a measure without one; most windows have none such.
        let empty = staged.filter { $0.after.count == 0 }
        guard !empty.isEmpty else { return }
        let found = try await source.query("SELECT EXISTS (SELECT FROM \(table))").rows
        guard try found.first?[0].bool() == false else { return }
        for day in empty where try await holdsRows(day, warehouse) {
            throw TallyError(
                .changeImplausible,
                during: "analytics.source",
                "table \"\(table)\" of the source has no row at all, which would empty \(day.measure.name)",
                remedy: "Check that the source is whole: a reload, a restore, row security. If the shop is really "
                    + "empty, delete these days in the warehouse yourself."
            )
        }
    }

    private func holdsRows(_ staged: StagedDay, _ warehouse: PGConnection) async throws -> Bool {
        if staged.before.count > 0 { return true }
        let measure = staged.measure
        guard !measure.isSnapshot else { return false }
        let held = try await warehouse.query(
            "SELECT EXISTS (SELECT FROM \(measure.table) WHERE \(measure.dayColumn) = ANY($1::text[]::date[]))",
            [.textArray(plan.days.map(\.description))]
        ).rows
        return try held.first?[0].bool() == true
    }
}
