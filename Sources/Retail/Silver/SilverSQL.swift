import Postgres

/// The statements that bring staged rows into a table of silver.
struct SilverSQL: Sendable {
    static let stage = "tallyman_stage"

    let plan: SilverPlan

    private func list(_ columns: [SilverColumn], _ alias: String? = nil) -> String {
        columns.map { (alias.map { "\($0)." } ?? "") + PGIdentifier.quote($0.name) }.joined(separator: ", ")
    }

    private func sameKey(_ left: String, _ right: String) -> String {
        plan.key.map { "\(left).\(PGIdentifier.quote($0.name)) = \(right).\(PGIdentifier.quote($0.name))" }
            .joined(separator: " AND ")
    }

    private var bookkeeping: [SilverColumn] { Array(plan.columns.suffix(2)) }

    var createStage: String {
        let columns = plan.columns.map { "\(PGIdentifier.quote($0.name)) \($0.kind.rawValue)" }
        return "CREATE TEMP TABLE \(Self.stage) (\(columns.joined(separator: ", ")), _line bigint) ON COMMIT DROP"
    }

    var copy: String { "COPY pg_temp.\(Self.stage) FROM STDIN (FORMAT binary)" }

    /// Leaves one row a key: the newest, and of one instant the last of the file.
    var removeDuplicates: String {
        """
        DELETE FROM pg_temp.\(Self.stage) AS s USING pg_temp.\(Self.stage) AS later
        WHERE \(sameKey("s", "later")) AND (s._ingestion_ts, s._line) < (later._ingestion_ts, later._line)
        """
    }

    /// What tells which records are readings of one thing: of a sale's lines, all of one answer belong together.
    private func sameReading(_ left: String, _ right: String) -> String {
        plan.entity == .salesProduct ? "\(left).sale_id = \(right).sale_id" : sameKey(left, right)
    }

    /// Leaves of the records behind line `own`, which are of newer files, those that speak of the same things.
    func removeUnrelated(own: Int) -> String {
        """
        DELETE FROM pg_temp.\(Self.stage) AS s WHERE s._line > \(own) AND NOT EXISTS (
            SELECT FROM pg_temp.\(Self.stage) AS mine WHERE mine._line <= \(own) AND \(sameReading("mine", "s")))
        """
    }

    /// Leaves each thing's newest reading. A line of a sale that a newer answer has no more goes with its reading.
    var removeOutdated: String {
        """
        DELETE FROM pg_temp.\(Self.stage) AS s USING pg_temp.\(Self.stage) AS later
        WHERE \(sameReading("s", "later")) AND s._ingestion_ts < later._ingestion_ts
        """
    }

    /// Rows that say something else than the table does, unless the table's row is newer (INV-9).
    ///
    /// Rows that did not change keep the stamp of their first reading. `restamping` gives them their newest one, which
    /// keeps an older reading out from then on.
    func update(restamping: Bool) -> String {
        let sets = (plan.values + bookkeeping)
            .map { "\(PGIdentifier.quote($0.name)) = s.\(PGIdentifier.quote($0.name))" }
        let differs = "(\(list(plan.values, "t"))) IS DISTINCT FROM (\(list(plan.values, "s")))"
        return """
            UPDATE \(plan.table) AS t SET \(sets.joined(separator: ", "))
            FROM pg_temp.\(Self.stage) AS s
            WHERE \(sameKey("t", "s")) AND (t._ingestion_ts IS NULL OR s._ingestion_ts >= t._ingestion_ts)
                AND (\(differs)\(restamping ? " OR s._ingestion_ts > t._ingestion_ts" : ""))
            """
    }

    /// Rows whose key is not there, of a file whose successors are gone: what silver holds may be of any of them.
    var insertUnknown: String {
        let known = plan.entity == .salesProduct ? "t.sale_id = s.sale_id" : sameKey("t", "s")
        let gone =
            plan.entity == .salesProduct
            ? " AND NOT EXISTS (SELECT FROM silver.sales_customer AS h WHERE h.id = s.sale_id "
                + "AND h._line_count < s.line_no)" : ""
        return """
            INSERT INTO \(plan.table) (\(list(plan.columns)))
            SELECT \(list(plan.columns, "s")) FROM pg_temp.\(Self.stage) AS s
            WHERE NOT EXISTS (SELECT FROM \(plan.table) AS t WHERE \(known))\(gone)
            ORDER BY \(list(plan.key, "s"))
            """
    }

    /// Rows whose key is not there. Lines that a newer header says are gone do not come back from an older file.
    var insert: String {
        let gone =
            plan.entity == .salesProduct
            ? """

                AND NOT EXISTS (SELECT FROM silver.sales_customer AS h WHERE h.id = s.sale_id
                    AND h._line_count < s.line_no AND h._ingestion_ts > s._ingestion_ts)
            """ : ""
        return """
            INSERT INTO \(plan.table) (\(list(plan.columns)))
            SELECT \(list(plan.columns, "s")) FROM pg_temp.\(Self.stage) AS s
            WHERE NOT EXISTS (SELECT FROM \(plan.table) AS t WHERE \(sameKey("t", "s")))\(gone)
            ORDER BY \(list(plan.key, "s"))
            """
    }

    /// Lines beyond the number a sale has by now; nil for every other entity.
    var removeGoneLines: String? {
        guard plan.entity == .salesCustomer else { return nil }
        return """
            DELETE FROM silver.sales_product AS l USING pg_temp.\(Self.stage) AS s
            WHERE l.sale_id = s.id AND l.line_no > s._line_count
                AND (l._ingestion_ts IS NULL OR l._ingestion_ts <= s._ingestion_ts)
            """
    }

    /// Counts of (new, changed) rows among records given as one JSON array; reads only.
    var compare: String {
        let shape = plan.columns.map { "\(PGIdentifier.quote($0.name)) \($0.kind.rawValue)" }.joined(separator: ", ")
        let first = PGIdentifier.quote(plan.key[0].name)
        return """
            SELECT count(*) FILTER (WHERE t.\(first) IS NULL),
                count(*) FILTER (WHERE t.\(first) IS NOT NULL AND s._ingestion_ts >= t._ingestion_ts
                    AND (\(list(plan.values, "t"))) IS DISTINCT FROM (\(list(plan.values, "s"))))
            FROM jsonb_to_recordset($1::jsonb) AS s (\(shape))
            LEFT JOIN \(plan.table) AS t ON \(sameKey("t", "s"))
            """
    }
}
