import Foundation
import Postgres
import Runtime

/// Replaces the lines of documents and derives the time series from them.
///
/// A day's row is always the sum of the lines stored for it, never a sum carried on: an edited order replaces exactly
/// its own contribution, and a day whose lines are unchanged is filled again all the same when its row is missing.
struct DocumentWriter {
    let store: MarketplaceStore
    let kind: DocumentRecord.Kind

    var target: String { kind == .order ? "sales_ts" : "fees_ts" }
    private var lineTable: String { kind == .order ? "marketplace.order_lines" : "marketplace.fee_lines" }

    private var lineColumns: [(name: String, type: String)] {
        let shared = [("product_code", "text"), ("sku", "text"), ("ts", "timestamptz"), ("currency_code", "text")]
        switch kind {
        case .order:
            return shared + [
                ("sold_at", "timestamptz"), ("units", "bigint"), ("units_refunded", "bigint"), ("revenue", "numeric"),
                ("refunded", "numeric"), ("units_returned", "bigint"), ("returned", "numeric"),
                ("unit_cost", "numeric"), ("refund_of", "text"),
            ]
        case .fee: return shared + [("posted_at", "timestamptz"), ("fee_type", "text"), ("amount", "numeric")]
        }
    }

    private var scopeValues: [PGValue] {
        [.text(store.scope.source), .text(store.scope.accountID), .text(store.scope.scope)]
    }

    /// The number of lines that changed plus days that did; what a compare finds when it may only look.
    func write(_ records: [DocumentRecord], _ compareOnly: Bool, _ connection: PGConnection) async throws -> Int {
        let newest = MarketplaceStore.newest(records, key: \.id, time: \.version)
        let stored = try await versions(newest, connection)
        let current = newest.filter { (stored[$0.id] ?? $0.version) <= $0.version }
        guard !current.isEmpty else { return 0 }
        let lines = PGValue.json(lineText(current).closed)
        if compareOnly {
            return try await differences(.textArray(current.map(\.id)), lines, connection)
        }
        try await saveDocuments(current, connection)
        // Only what was stored before can have lines that are gone, or days that it is no longer in.
        let known = current.filter { stored[$0.id] != nil }
        let before = try await days(of: known, connection)
        var changed = try await removeGone(known, connection)
        changed += try await saveLines(lines, connection)
        let after = try await daysNow(of: current, connection)
        changed += try await derive(before, after, connection)
        return changed
    }

    /// The days that stored lines of the documents are in. Document by document, by the index: a planner without
    /// statistics would rather read all lines of the account.
    private func days(of records: [DocumentRecord], _ connection: PGConnection) async throws -> Set<Day> {
        guard !records.isEmpty else { return [] }
        let rows = try await connection.query(
            """
            SELECT DISTINCT l.product_code, l.ts FROM unnest($4::text[]) AS i (id) CROSS JOIN LATERAL (
                SELECT o.product_code, o.ts FROM \(lineTable) o
                WHERE o.source = $1 AND o.account_id = $2 AND o.scope = $3 AND o.document_id = i.id OFFSET 0) AS l
            """,
            scopeValues + [.textArray(records.map(\.id))]
        ).rows
        return Set(try rows.map { Day(product: try $0[0].string(), ts: try $0[1].date()) })
    }

    /// The days of what has just been stored. Only those of refunds are asked for: they are their sales'.
    private func daysNow(of records: [DocumentRecord], _ connection: PGConnection) async throws -> Set<Day> {
        var days = try await days(of: records.filter { $0.lines.contains(where: \.isTakingBack) }, connection)
        for record in records {
            for line in record.lines where !line.isTakingBack {
                days.insert(Day(product: RowText.storable(line.productCode), ts: line.day))
            }
        }
        return days
    }

    /// A column's incoming value.
    private func arriving(_ name: String) -> String {
        guard name == "ts", kind == .order else { return "i.\(name)" }
        return """
            CASE WHEN i.refund_of IS NULL THEN i.ts ELSE coalesce((SELECT min(o.ts) FROM marketplace.order_lines o
                WHERE o.source = $1 AND o.account_id = $2 AND o.scope = $3 AND o.document_id = i.refund_of
                    AND o.product_code = i.product_code), i.ts) END
            """
    }

    private struct Day: Hashable {
        let product: String
        let ts: Date
    }

    /// The stored versions of those that are stored; looked up one by one in the index, however large the table is.
    private func versions(_ records: [DocumentRecord], _ connection: PGConnection) async throws -> [String: Int64] {
        let rows = try await connection.query(
            """
            SELECT id, version FROM (
                SELECT i.id, (SELECT d.version FROM marketplace.documents d
                    WHERE d.source = $1 AND d.account_id = $2 AND d.scope = $3 AND d.kind = $4
                        AND d.document_id = i.id) AS version
                FROM unnest($5::text[]) AS i (id)) AS stored
            WHERE version IS NOT NULL
            """,
            scopeValues + [.text(kind.rawValue), .textArray(records.map(\.id))]
        ).rows
        return Dictionary(
            try rows.map { (try $0[0].string(), Int64(try $0[1].int())) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    private func saveDocuments(_ records: [DocumentRecord], _ connection: PGConnection) async throws {
        _ = try await connection.query(
            """
            INSERT INTO marketplace.documents AS d (source, account_id, scope, kind, document_id, version, status)
            SELECT $1, $2, $3, $4, i.* FROM unnest($5::text[], $6::bigint[], $7::text[]) AS i
            ON CONFLICT (source, account_id, scope, kind, document_id) DO UPDATE
                SET version = excluded.version, status = excluded.status
            WHERE (d.version, d.status) IS DISTINCT FROM (excluded.version, excluded.status)
            """,
            scopeValues + [
                .text(kind.rawValue), .textArray(records.map(\.id)), .intArray(records.map(\.version)),
                .textArray(records.map(\.status)),
            ]
        )
    }

    /// The lines that the documents still have.
    private func kept(_ records: [DocumentRecord]) -> PGValue {
        var rows = RowText()
        for record in records {
            for line in record.lines {
                rows.begin()
                rows.field("document_id", record.id)
                rows.field("line_id", line.id)
                rows.end()
            }
        }
        return .json(rows.closed)
    }

    private func removeGone(_ records: [DocumentRecord], _ connection: PGConnection) async throws -> Int {
        guard !records.isEmpty else { return 0 }
        return try await connection.query(
            """
            DELETE FROM \(lineTable) l
            WHERE l.source = $1 AND l.account_id = $2 AND l.scope = $3 AND l.document_id = ANY ($4)
                AND NOT EXISTS (SELECT FROM jsonb_to_recordset($5::jsonb) AS i (document_id text, line_id text)
                    WHERE i.document_id = l.document_id AND i.line_id = l.line_id)
            """,
            scopeValues + [.textArray(records.map(\.id)), kept(records)]
        ).affectedRows
    }

    private func saveLines(_ lines: PGValue, _ connection: PGConnection) async throws -> Int {
        let names = lineColumns.map(\.name)
        let list = (["marketplace", "country"] + names).joined(separator: ", ")
        let stored = (["marketplace", "country"] + names).map { "l.\($0)" }.joined(separator: ", ")
        let incoming = (["marketplace", "country"] + names).map { "excluded.\($0)" }.joined(separator: ", ")
        let record = lineColumns.map { "\($0.name) \($0.type)" }.joined(separator: ", ")
        return try await connection.query(
            """
            INSERT INTO \(lineTable) AS l (source, account_id, scope, document_id, line_id, \(list))
            SELECT $1, $2, $3, i.document_id, i.line_id, $1, $4, \(names.map(arriving).joined(separator: ", "))
            FROM jsonb_to_recordset($5::jsonb) AS i (document_id text, line_id text, \(record))
            ON CONFLICT (source, account_id, scope, document_id, line_id) DO UPDATE SET (\(list)) = ROW (\(incoming))
            WHERE (\(stored)) IS DISTINCT FROM (\(incoming))
            """,
            scopeValues + [.text(store.scope.country), lines]
        ).affectedRows
    }

    private func differences(_ ids: PGValue, _ lines: PGValue, _ connection: PGConnection) async throws -> Int {
        let names = lineColumns.map(\.name)
        let record = lineColumns.map { "\($0.name) \($0.type)" }.joined(separator: ", ")
        let stored = names.map { "l.\($0)" }.joined(separator: ", ")
        let incoming = names.map(arriving).joined(separator: ", ")
        let rows = try await connection.query(
            """
            SELECT count(*) FROM (SELECT * FROM \(lineTable)
                WHERE source = $1 AND account_id = $2 AND scope = $3 AND document_id = ANY ($4)) l
            FULL JOIN jsonb_to_recordset($5::jsonb) AS i (document_id text, line_id text, \(record))
                ON i.document_id = l.document_id AND i.line_id = l.line_id
            WHERE l.line_id IS NULL OR i.line_id IS NULL OR (\(stored)) IS DISTINCT FROM (\(incoming))
            """,
            scopeValues + [ids, lines]
        ).rows
        return try rows.first?[0].int() ?? 0
    }

    // MARK: The time series

    private func derive(_ before: Set<Day>, _ after: Set<Day>, _ connection: PGConnection) async throws -> Int {
        let days = before.union(after)
        guard let first = days.map(\.ts).min(), let last = days.map(\.ts).max() else { return 0 }
        _ = try await connection.query(
            "SELECT marketplace.ensure_months(to_regclass($1), $2, $3)",
            [.text("public.\(target)"), .timestamp(first), .timestamp(last)]
        )
        let scope = store.scope
        func values(_ days: Set<Day>) -> [PGValue] {
            var keys = RowText()
            for day in days {
                keys.begin()
                keys.field("product_code", day.product)
                keys.field("ts", day.ts)
                keys.end()
            }
            return [.text(scope.accountID), .text(scope.source), .text(scope.country), .json(keys.closed)]
        }
        // A day that sales are in now has its row. One with fees may have a row of a type that is charged no more.
        let emptied = kind == .order ? before.subtracting(after) : days
        var changed = 0
        if !emptied.isEmpty {
            let bounds: [PGValue] = [.timestamp(first), .timestamp(last)]
            changed += try await connection.query(removeSQL, values(emptied) + bounds).affectedRows
        }
        if let row = try await connection.query(mixedSQL, values(days)).rows.first, try row[0].bool() {
            throw TallyError(
                .settingsInvalid,
                during: "marketplace.derive",
                "two currencies meet in one day's row of \(target)",
                remedy: "Give one of the shops that share account and country another of either: their sums would be "
                    + "money of neither currency."
            )
        }
        return changed + (try await connection.query(deriveSQL, values(days)).affectedRows)
    }

    private var keysSQL: String {
        "SELECT DISTINCT k.product_code, k.ts FROM jsonb_to_recordset($4::jsonb) AS k "
            + "(product_code text, ts timestamptz)"
    }

    /// Rows of the touched days that no line stands behind any more.
    private var removeSQL: String {
        let types = store.types
        let sameFee = kind == .fee ? "AND l.fee_type = t.fee_type::text" : ""
        return """
            DELETE FROM public.\(target) t USING (\(keysSQL)) k
            WHERE t.account_id = \(types.cast("$1::text", "\(target).account_id"))
                AND t.marketplace = \(types.cast("$2::text", "\(target).marketplace"))
                AND t.country = \(types.cast("$3::text", "\(target).country"))
                AND t.product_code = \(types.cast("k.product_code", "\(target).product_code"))
                AND t.ts = \(types.cast("k.ts", "\(target).ts"))
                AND t.ts BETWEEN \(types.cast("$5::timestamptz", "\(target).ts"))
                    AND \(types.cast("$6::timestamptz", "\(target).ts"))
                AND (SELECT true FROM \(lineTable) l WHERE l.account_id = $1 AND l.marketplace = $2
                    AND l.country = $3 AND l.product_code = k.product_code AND l.ts = k.ts \(sameFee) LIMIT 1) IS NULL
            """
    }

    /// Whether a touched day has lines of several currencies: a shop's own are refused where they are mapped, those of
    /// two shops of one account and country only meet here.
    private var mixedSQL: String {
        """
        SELECT EXISTS (SELECT FROM (\(keysSQL)) k CROSS JOIN LATERAL (
            SELECT min(l.currency_code) < max(l.currency_code) AS is_mixed FROM \(lineTable) l
            WHERE l.account_id = $1 AND l.marketplace = $2 AND l.country = $3
                AND l.product_code = k.product_code AND l.ts = k.ts) AS s
        WHERE s.is_mixed)
        """
    }

    /// Sums over the stored lines, which are of one currency.
    ///
    /// LATERAL: each day's lines are looked up by the index. Joined freely, a planner whose statistics are behind what
    /// this very pull has written reads all lines for every page.
    private var deriveSQL: String {
        let revenue = "sum(l.revenue - l.refunded - l.returned)"
        let sold = "l.units - l.units_refunded - l.units_returned"
        let cost = "CASE WHEN bool_and(l.unit_cost IS NOT NULL) THEN sum(l.unit_cost * (\(sold))) END"
        let measures: [(name: String, sum: String)] =
            switch kind {
            case .order:
                [
                    ("units_sold", "sum(\(sold))"), ("revenue", revenue),
                    ("margin", "\(revenue) - \(cost)"), ("cogs", cost), ("currency_code", "min(l.currency_code)"),
                ]
            case .fee: [("amount", "sum(l.amount)"), ("currency_code", "min(l.currency_code)")]
            }
        let keys = ["account_id", "marketplace", "country", "product_code", "ts"] + (kind == .fee ? ["fee_type"] : [])
        let keyValues =
            ["$1::text", "$2::text", "$3::text", "k.product_code", "k.ts"] + (kind == .fee ? ["s.fee_type"] : [])
        let sums = measures.map { "\($0.sum) AS \($0.name)" } + (kind == .fee ? ["l.fee_type"] : [])
        let selected =
            zip(keyValues, keys).map { store.types.cast($0, "\(target).\($1)") }
            + measures.map { store.types.cast("s.\($0.name)", "\(target).\($0.name)") }
        let names = measures.map(\.name)
        return """
            INSERT INTO public.\(target) AS t (\((keys + names).joined(separator: ", ")))
            SELECT \(selected.joined(separator: ", "))
            FROM (\(keysSQL)) k CROSS JOIN LATERAL (
                SELECT \(sums.joined(separator: ", ")) FROM \(lineTable) l
                WHERE l.account_id = $1 AND l.marketplace = $2 AND l.country = $3
                    AND l.product_code = k.product_code AND l.ts = k.ts
                GROUP BY \(kind == .fee ? "l.fee_type" : "()") HAVING count(*) > 0) AS s
            ON CONFLICT (\(keys.joined(separator: ", "))) DO UPDATE
                SET \(names.map { "\($0) = excluded.\($0)" }.joined(separator: ", "))
            WHERE (\(names.map { "t.\($0)" }.joined(separator: ", ")))
                IS DISTINCT FROM (\(names.map { "excluded.\($0)" }.joined(separator: ", ")))
            """
    }

    private func lineText(_ records: [DocumentRecord]) -> RowText {
        var rows = RowText()
        for record in records {
            for line in record.lines {
                rows.begin()
                rows.field("document_id", record.id)
                switch line {
                case .order(let line):
                    rows.field("line_id", line.id)
                    rows.field("product_code", line.productCode)
                    rows.field("sku", line.sku)
                    rows.field("ts", line.day)
                    rows.field("sold_at", line.soldAt)
                    rows.field("units", line.units)
                    rows.field("units_refunded", line.unitsRefunded)
                    rows.field("revenue", line.revenue)
                    rows.field("refunded", line.refunded)
                    rows.field("units_returned", line.unitsReturned)
                    rows.field("returned", line.returned)
                    rows.field("unit_cost", line.unitCost)
                    rows.field("currency_code", line.currency)
                    rows.field("refund_of", line.refundOf)
                case .fee(let line):
                    rows.field("line_id", line.id)
                    rows.field("product_code", line.productCode)
                    rows.field("sku", line.sku)
                    rows.field("ts", line.day)
                    rows.field("posted_at", line.postedAt)
                    rows.field("fee_type", line.type)
                    rows.field("amount", line.amount)
                    rows.field("currency_code", line.currency)
                }
                rows.end()
            }
        }
        return rows
    }
}
