import Postgres

/// The SQL that moves staged rows into their table.
struct StageTable: Sendable {
    let plan: ExportPlan

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
        let keys = Set(plan.keyColumns)
        let changing = plan.columns.map(\.target).filter { !keys.contains($0) }.map(PGIdentifier.quote)
        let identity = plan.insertsOverIdentity ? " OVERRIDING SYSTEM VALUE" : ""
        let head =
            "INSERT INTO \(plan.targetSQL) AS t (\(plan.targetColumnsSQL))\(identity) \(selectSQL) "
            + "ON CONFLICT (\(plan.keySQL)) DO "
        guard !changing.isEmpty || plan.mark != nil else { return head + "NOTHING" }
        let assignments = (changing.map { "\($0) = excluded.\($0)" } + unmark).joined(separator: ", ")
        let old = changing.map { "t.\($0)" }.joined(separator: ", ")
        let new = changing.map { "excluded.\($0)" }.joined(separator: ", ")
        return head + "UPDATE SET \(assignments) "
            + "WHERE (ROW(\(old))::record OPERATOR(pg_catalog.*<>) ROW(\(new))::record\(orMarked))\(notOlderSQL)"
    }

    /// A row that comes back is marked no more.
    private var unmark: [String] { plan.mark.map { ["\($0.sql) = \($0.unmarked)"] } ?? [] }
    private var orMarked: String { plan.mark.map { " OR \($0.isMarked("t"))" } ?? "" }

    /// Staged rows whose key is not in the target after the upsert: a trigger or rule swallowed them.
    var lostSQL: String {
        let match = plan.keyColumns.map(PGIdentifier.quote).map { "t.\($0) = s.\($0)" }.joined(separator: " AND ")
        return "SELECT count(*) FROM \(Self.name) s WHERE NOT EXISTS (SELECT 1 FROM \(plan.targetSQL) t WHERE \(match))"
    }

    /// Of rows with one key the last in reading order stands for all.
    private var selectSQL: String {
        guard !plan.isKeyUnique else { return "SELECT \(plan.targetColumnsSQL) FROM \(Self.name)" }
        return "SELECT DISTINCT ON (\(plan.keySQL)) \(plan.targetColumnsSQL) FROM \(Self.name) "
            + "ORDER BY \(plan.keySQL), tallyman_order DESC"
    }

    /// INV-9: where several rows of the source share a key, one read late must not replace a newer one.
    private var notOlderSQL: String {
        guard !plan.isKeyUnique, let column = plan.columns.first(where: { $0.sql == plan.cursor.sql }) else {
            return ""
        }
        let quoted = PGIdentifier.quote(column.target)
        return " AND (t.\(quoted) IS NULL OR excluded.\(quoted) >= t.\(quoted))"
    }
}
