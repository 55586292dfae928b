import Postgres

/// The SQL that a plan reads its source with.
struct ReadStatement: Sendable {
    let plan: ExportPlan

    /// The rows of `condition` in the order of the position, as COPY sends them.
    ///
    /// Each value has a name of ours: ORDER BY would take an expression that is called like the cursor for the cursor.
    func copy(where condition: String) -> String {
        let list = (plan.columns.map(\.sql) + extras).enumerated().map { "\($1) AS tallyman_\($0)" }
        return "COPY (\(select(list, where: condition)) ORDER BY \(orderSQL)) "
            + "TO STDOUT (FORMAT \(plan.format.rawValue))"
    }

    func count(where condition: String) -> String { select(["count(*)"], where: condition) }

    func select(_ list: [String], where condition: String) -> String {
        "SELECT \(list.joined(separator: ", ")) FROM \(plan.sourceSQL) WHERE \(condition)\(skip)"
    }

    var skip: String { plan.skipSQL.map { " AND NOT coalesce((\($0)), false)" } ?? "" }
    private var extras: [String] {
        [plan.cursor, plan.id].compactMap { $0 }.filter(\.isExtra).map { "\($0.sql)::text" }
    }
    var orderSQL: String { [plan.cursor.sql, plan.id?.sql].compactMap { $0 }.joined(separator: ", ") }

    /// Every row that has a cursor.
    var everything: String { "\(plan.cursor.sql) IS NOT NULL" }

    /// Rows from an operator's value on. The text is a literal of the cursor's type, never SQL.
    func from(_ value: String) -> String { "\(plan.cursor.sql) >= \(literal(value, plan.cursorType.sql))" }

    /// What lies past a position, or past or at it where positions are not unique.
    func past(_ position: Position) -> String {
        let cursor = literal(position.cursor, plan.cursorType.sql)
        guard let id = plan.id, let value = position.id, !id.isNullable else {
            return "\(plan.cursor.sql) >= \(cursor)"
        }
        let comparison = plan.isPositionUnique ? ">" : ">="
        return "(\(plan.cursor.sql), \(id.sql)) \(comparison) (\(cursor), \(literal(value, id.typeSQL)))"
    }

    /// What lies before a position or shares its cursor.
    func upTo(_ position: Position) -> String {
        "\(plan.cursor.sql) <= \(literal(position.cursor, plan.cursorType.sql))"
    }

    /// What lies before a position; only where positions are unique.
    func before(_ position: Position) -> String { "(\(past(position))) IS NOT TRUE AND NOT (\(isAt(position)))" }

    private func isAt(_ position: Position) -> String {
        let columns =
            [(plan.cursor.sql, literal(position.cursor, plan.cursorType.sql))]
            + zip([plan.id].compactMap { $0 }, [position.id].compactMap { $0 }).map {
                ($0.sql, literal($1, $0.typeSQL))
            }
        return columns.map { "\($0.0) = \($0.1)" }.joined(separator: " AND ")
    }

    /// Whether one position lies at or past another, compared as a row of the columns' own types.
    func isNotBehind(_ one: Position, _ other: Position) -> String {
        func row(_ position: Position) -> String {
            let cursor = literal(position.cursor, plan.cursorType.sql)
            guard let id = plan.id, let value = position.id, one.id != nil, other.id != nil else {
                return "ROW(\(cursor))"
            }
            return "ROW(\(cursor), \(literal(value, id.typeSQL)))"
        }
        return "\(row(one)) >= \(row(other))"
    }

    /// A row's key as `BadRow.key` writes it.
    var keyText: String {
        let columns = plan.keyColumns.compactMap { name in plan.columns.first { $0.target == name } }
        return columns.map { "(\($0.sql))::text" }.joined(separator: " || ',' || ")
    }

    /// Rows of these keys.
    func keys(_ keys: [String]) -> String { "\(Self.isAmong(keys, keyText)) AND \(everything)" }

    /// Whether an expression of the type text has one of these values.
    static func isAmong(_ keys: [String], _ text: String) -> String {
        "(\(text)) IN (\(keys.map(PGIdentifier.quoteLiteral).joined(separator: ", ")))"
    }

    /// What lies behind a position, within the lookback, and may have become visible since the last run.
    ///
    /// The window begins at the cursor or at `since`, whichever is earlier: one row stamped in the future moves the
    /// cursor ahead of every clock, and a long transaction stamps its rows with the time it began. Numbers have a floor
    /// in place of a time; it is none where the source's history is another.
    ///
    /// Of the parts of the source that are `attached` since, all rows count.
    func behind(
        _ position: Position,
        previous: SnapshotMark?,
        now: SnapshotMark,
        read: BackwardRead,
        attached: [Int64] = []
    ) -> String? {
        var window: [String] = []
        if let lower = lowerBound(position, previous, now) { window.append("\(plan.cursor.sql) >= \(lower)") }
        switch read {
        case .nothing: return nil
        case .overlap: break
        case .writtenFrom(let xid):
            // Ancient frozen rows show ids of an earlier round of the circle, which count as negative ages.
            window.append("age(xmin) BETWEEN 0 AND (SELECT age('\(UInt32(truncatingIfNeeded: xid))'::xid))")
        }
        if !attached.isEmpty, !window.isEmpty {
            let list = attached.map { "\($0)" }.joined(separator: ",")
            window = ["((\(window.joined(separator: " AND "))) OR tableoid = ANY ('{\(list)}'::oid[]))"]
        }
        return ([upTo(position)] + window + ["(\(past(position))) IS NOT TRUE"]).joined(separator: " AND ")
    }

    private func lowerBound(_ position: Position, _ previous: SnapshotMark?, _ now: SnapshotMark) -> String? {
        switch plan.lookback {
        case .everything, .off: return nil
        case .count(let count):
            var value = Int64(position.cursor) ?? 0
            if let previous {
                guard now.sharesHistory(with: previous), let floor = previous.numbers?.floor else { return nil }
                value = min(value, floor)
            }
            let (lower, overflow) = value.subtractingReportingOverflow(count)
            return overflow ? nil : "\(lower)::int8"
        case .seconds(let seconds):
            let zone = plan.cursorType == .timestamptz ? "timestamptz" : "timestamp"
            var candidates = [literal(position.cursor, zone)]
            if let previous {
                let moment = TimeText.timestamp(micros: previous.sinceMicros, suffix: "+00")
                candidates.append("'\(moment)'::\(zone)")
                // Times without a zone may be the server's local ones: the earlier reading covers both.
                if zone == "timestamp" {
                    candidates.append(
                        "('\(moment)'::timestamptz AT TIME ZONE "
                            + "(SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'))"
                    )
                }
            }
            let lower = "least(\(candidates.joined(separator: ", "))) - interval '\(seconds) seconds'"
            return plan.cursorType == .date ? "(\(lower))::date" : "(\(lower))"
        }
    }

    private func literal(_ text: String, _ type: String) -> String {
        "\(PGIdentifier.quoteLiteral(text))::\(type)"
    }
}
