import Postgres

/// The SQL that moves staged rows into their table.
struct StageTable: Sendable {
    let plan: ExportPlan
    /// All of the source is read under one snapshot, in order: what comes last counts, also where its cursor went back.
    let takesAsRead: Bool

    static let name = "pg_temp.tallyman_export"

    /// Makes the session's staging table anew, empty again after each commit.
    var createSQL: String {
        let extras = extraNames.map { ", NULL::text AS \($0)" }.joined()
        // A view of the row's order is only needed where two rows may have the same key.
        let order =
            plan.isKeyUnique ? "" : "; ALTER TABLE \(Self.name) ADD tallyman_order bigint GENERATED ALWAYS AS IDENTITY"
        return "DROP TABLE IF EXISTS \(Self.name); CREATE TEMPORARY TABLE tallyman_export ON COMMIT DELETE ROWS AS "
            + "SELECT \(plan.targetColumnsSQL)\(extras) FROM \(plan.targetSQL) WITH NO DATA\(order)"
    }

    /// Empties it inside a transaction.
    static let emptySQL = "TRUNCATE \(name)"
    static let dropSQL = "DROP TABLE IF EXISTS \(name)"

    private var extraNames: [String] { (0..<plan.extraFields).map { "tallyman_position_\($0)" } }

    var copySQL: String {
        let columns = ([plan.targetColumnsSQL] + extraNames).joined(separator: ", ")
        return "COPY \(Self.name) (\(columns)) FROM STDIN (FORMAT \(plan.format.rawValue))"
    }

    var directCopySQL: String {
        "COPY \(plan.targetSQL) (\(plan.targetColumnsSQL)) FROM STDIN (FORMAT \(plan.format.rawValue))"
    }

    /// One statement for all staged rows: new ones are added, changed ones replaced, identical ones left alone.
    ///
    /// Rows are compared by their images: equality would take `A` and `a` of citext, or 1.0 and 1.00, for the same.
    var upsertSQL: String {
        let conflict = head + "\(selectSQL) ON CONFLICT (\(plan.keySQL)) DO "
        return conflict
            + (changes ? "UPDATE SET \(assignments) WHERE \(isBehindSQL("t", "excluded"))" : "NOTHING")
    }

    private var head: String {
        let identity = plan.insertsOverIdentity ? " OVERRIDING SYSTEM VALUE" : ""
        return "INSERT INTO \(plan.targetSQL) AS t (\(plan.targetColumnsSQL))\(identity) "
    }

    private var changes: Bool { !changing.isEmpty || plan.mark != nil }
    private var assignments: String {
        (changing.map { "\($0) = excluded.\($0)" } + unmark).joined(separator: ", ")
    }

    /// Whether a row of the target has yet to become what a staged one says.
    private func isBehindSQL(_ old: String, _ new: String) -> String {
        func row(_ alias: String) -> String { changing.map { "\(alias).\($0)" }.joined(separator: ", ") }
        return "(ROW(\(row(old)))::record OPERATOR(pg_catalog.*<>) ROW(\(row(new)))::record\(orMarked))"
            + notOlderSQL(old, new)
    }

    private var changing: [String] {
        let keys = Set(plan.keyColumns)
        return plan.columns.map(\.target).filter { !keys.contains($0) }.map(PGIdentifier.quote)
    }

    /// A row that comes back is marked no more.
    private var unmark: [String] { plan.mark.map { ["\($0.sql) = \($0.unmarked)"] } ?? [] }
    private var orMarked: String { plan.mark.map { " OR \($0.isMarked("t"))" } ?? "" }

    /// Staged rows that a trigger or rule may have swallowed: how many have no row in the target after the upsert, and
    /// how many have one that is neither as it should be nor written by this transaction.
    ///
    /// A trigger may alter what it is given: such a row differs, but its `xmin` says that it was written just now.
    var lostSQL: String {
        "SELECT count(*) FILTER (WHERE \(isAbsentSQL)), count(*) FILTER (WHERE \(isUntouchedSQL)) "
            + "FROM (\(selectSQL)) s LEFT JOIN \(plan.targetSQL) t ON \(matchSQL)"
    }

    /// Writes those again that were not touched, whatever their values: a trigger on INSERT may have made of one what
    /// the target has already, and then nothing was to be written.
    var probeSQL: String {
        let columns = plan.columns.map { "s.\(PGIdentifier.quote($0.target))" }.joined(separator: ", ")
        return head + "SELECT \(columns) FROM (\(selectSQL)) s JOIN \(plan.targetSQL) t ON \(matchSQL) "
            + "WHERE \(isUntouchedSQL) ON CONFLICT (\(plan.keySQL)) DO UPDATE SET \(assignments)"
    }

    /// Whether the target has a trigger that leaves out what would change nothing.
    var suppressesSQL: String {
        let table = "\(PGIdentifier.quoteLiteral(plan.targetSQL))::regclass"
        return "SELECT EXISTS (SELECT FROM pg_trigger "
            + "WHERE tgfoid = 'pg_catalog.suppress_redundant_updates_trigger'::regproc AND (tgrelid = \(table) "
            + "OR tgrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = \(table))))"
    }

    private var matchSQL: String {
        plan.keyColumns.map(PGIdentifier.quote).map { "t.\($0) = s.\($0)" }.joined(separator: " AND ")
    }
    private var isAbsentSQL: String { "t.\(PGIdentifier.quote(plan.keyColumns[0])) IS NULL" }
    private var isUntouchedSQL: String {
        changes && plan.showsWriters
            ? "NOT (\(isAbsentSQL)) AND \(isBehindSQL("t", "s")) AND age(t.xmin) > 0"
            : "false"
    }

    /// Of rows with one key the last in reading order stands for all.
    private var selectSQL: String {
        guard !plan.isKeyUnique else { return "SELECT \(plan.targetColumnsSQL) FROM \(Self.name)" }
        return "SELECT DISTINCT ON (\(plan.keySQL)) \(plan.targetColumnsSQL) FROM \(Self.name) "
            + "ORDER BY \(plan.keySQL), tallyman_order DESC"
    }

    /// INV-9: where several rows of the source share a key, one read late must not replace a newer one.
    /// A run that reads all repairs, so it takes what the source has now.
    private func notOlderSQL(_ old: String, _ new: String) -> String {
        guard !takesAsRead, !plan.isKeyUnique, let column = plan.columns.first(where: { $0.sql == plan.cursor.sql })
        else { return "" }
        let quoted = PGIdentifier.quote(column.target)
        return " AND (\(old).\(quoted) IS NULL OR \(new).\(quoted) >= \(old).\(quoted))"
    }
}
