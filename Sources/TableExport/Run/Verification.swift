import ConfigFile
import Engine
import Foundation
import Postgres
import Runtime

/// Compares both sides by ranges of keys with checksums that the servers compute; only ranges that differ are split.
struct Verification {
    struct Result: Sendable, Equatable {
        var missing = 0
        var stale = 0
        var extra = 0
        var ranges = 0
        /// The first keys that differ, each with what is wrong; at most `keysMax`.
        var keys: [String] = []

        /// Rows that only the target has are no fault: deletes may be ignored.
        var isClean: Bool { missing == 0 && stale == 0 }
        var drift: ExportDrift { ExportDrift(missing: missing, stale: stale, extra: extra) }

        var json: JSONValue {
            [
                "missing": .int(missing), "stale": .int(stale), "extra": .int(extra), "ranges": .int(ranges),
                "keys": .array(keys.map { .string($0) }),
            ]
        }
    }

    static let keysMax = 100
    /// Rows of a first range, and how few are compared one by one.
    static let rangeRows = 20_000
    static let singleRows = 256

    let plan: ExportPlan
    let from: PGConnection
    let into: PGConnection
    let progress: Engine.Progress
    /// Keys of rows that are known to differ.
    let aside: Set<String>

    struct Side: Sendable {
        let connection: PGConnection
        let relation: String
        var condition: String
        let keys: [String]
        let row: String
        /// Where several rows share a key: the name of the relation, and what puts the row that counts first.
        var newest: (alias: String, order: String)?

        /// All key columns as one text.
        var keyText: String { keys.map { "(\($0))::text" }.joined(separator: " || ',' || ") }

        /// What stands behind FROM for the rows of a condition, one row a key.
        func rows(where condition: String) -> String {
            let all = "\(relation) WHERE \(condition)"
            guard let newest else { return all }
            let keys = keys.joined(separator: ", ")
            return "(SELECT DISTINCT ON (\(keys)) * FROM \(all) ORDER BY \(keys), \(newest.order)) AS \(newest.alias)"
        }
    }

    struct Range: Sendable {
        /// Exclusive; nil for the beginning.
        var low: [String]?
        /// Inclusive; nil for the end.
        var high: [String]?
    }

    func run() async throws -> Result {
        guard plan.definition.transform.swift == nil else {
            throw TallyError(
                .requestInvalid,
                during: "export.verify",
                "servers cannot compare what a Swift transform makes of a row"
            )
        }
        return try await into.withTransaction(isolation: .repeatableRead, readOnly: true) { connection in
            // This side waits while the source computes.
            try await connection.execute(
                "SET LOCAL idle_in_transaction_session_timeout = '15min'; \(SourceSnapshot.textSettings)"
            )
            return try await compare(source, target)
        }
    }

    private var source: Side {
        let rows = plan.columns.map { $0.isTargetBuiltIn ? "(\($0.sql))::\($0.targetType)::text" : "(\($0.sql))::text" }
        let keys = plan.keyColumns.compactMap { key in plan.columns.first { $0.target == key } }
            .map { Self.ordered($0.sql, $0) }
        // Of rows that share a key the target has the one that was read last.
        let order = [plan.cursor.sql, plan.id?.sql].compactMap { $0.map { "\($0) DESC" } }.joined(separator: ", ")
        return Side(
            connection: from,
            relation: plan.sourceSQL,
            condition: sourceCondition,
            keys: keys,
            row: "md5(ROW(\(rows.joined(separator: ", ")))::text)",
            newest: plan.isKeyUnique
                ? nil : (alias: PGIdentifier.quote(plan.definition.source.table.text), order: order)
        )
    }

    private var target: Side {
        let rows = plan.columns.map { "\(PGIdentifier.quote($0.target))::text" }
        let keys = plan.keyColumns.compactMap { key in plan.columns.first { $0.target == key } }
            .map { Self.ordered(PGIdentifier.quote($0.target), $0) }
        var condition = "true"
        // Rows marked as gone are not expected in the source.
        if case .mark(let column) = plan.definition.deletes {
            condition = "coalesce(\(PGIdentifier.quote(column))::text, 'false') = 'false'"
        }
        var side = Side(
            connection: into,
            relation: plan.targetSQL,
            condition: condition,
            keys: keys,
            row: "md5(ROW(\(rows.joined(separator: ", ")))::text)"
        )
        side.condition += notAside(side.keyText)
        return side
    }

    /// Rows that were set aside are on neither side: the source may be unable to compute them, or whether to skip them.
    private var sourceCondition: String {
        let statement = ReadStatement(plan: plan)
        guard !aside.isEmpty else { return statement.everything + statement.skip }
        let isAside = ReadStatement.isAmong(aside.sorted(), statement.keyText)
        return "\(statement.everything) AND CASE WHEN \(isAside) THEN false ELSE true\(statement.skip) END"
    }

    private func notAside(_ keyText: String) -> String {
        aside.isEmpty ? "" : " AND (\(ReadStatement.isAmong(aside.sorted(), keyText))) IS NOT TRUE"
    }

    /// Types whose order both servers share and an index of the key gives.
    private static func isNatural(_ column: ExportColumn) -> Bool {
        let natural = ["smallint", "integer", "bigint", "numeric", "date", "uuid"]
        return natural.contains(column.targetType) || column.targetType.hasPrefix("timestamp")
    }

    /// The key in an order that both servers share: by number, time or UUID, and everything else by bytes.
    private static func ordered(_ sql: String, _ column: ExportColumn) -> String {
        isNatural(column) ? "(\(sql))::\(column.targetType)" : "(\(sql))::text COLLATE \"C\""
    }

    private func compare(_ source: Side, _ target: Side) async throws -> Result {
        let keys = plan.keyColumns.compactMap { key in plan.columns.first { $0.target == key } }
        // No index gives the bytes' order of a text: each range of it would cost a pass over the whole table.
        guard keys.allSatisfy(Self.isNatural) else { return try await compareBuckets(source, target) }
        var result = Result()
        let bounds = try await bounds(source, Range(), step: Self.rangeRows)
        var open: [Range] = []
        for index in 0...bounds.count {
            open.append(
                Range(low: index > 0 ? bounds[index - 1] : nil, high: index < bounds.count ? bounds[index] : nil)
            )
        }
        while let range = open.popLast() {
            result.ranges += 1
            let left = try await checksum(source, range)
            let right = try await checksum(target, range)
            progress.add(compared: left.rows)
            if left == right { continue }
            let larger = left.rows >= right.rows ? source : target
            let rows = max(left.rows, right.rows)
            if rows > Self.singleRows {
                let cuts = try await self.bounds(larger, range, step: max(1, rows / 16))
                // Rows that share one key cannot be split.
                if !cuts.isEmpty, cuts != [range.high] {
                    var low = range.low
                    for cut in cuts where cut != range.high {
                        open.append(Range(low: low, high: cut))
                        low = cut
                    }
                    open.append(Range(low: low, high: range.high))
                    continue
                }
            }
            let conditions = (condition(source, range), condition(target, range))
            try await compareRows(source, target, where: conditions, &result)
        }
        return result
    }

    /// Compares the rows of a condition of each side one by one; both are held in memory.
    func compareRows(
        _ source: Side,
        _ target: Side,
        where conditions: (source: String, target: String),
        _ result: inout Result
    ) async throws {
        let left = try await rows(source, conditions.source)
        let right = try await rows(target, conditions.target)
        for (key, checksum) in left.sorted(by: { $0.key < $1.key }) where right[key] != checksum {
            if aside.contains(DeadLetter.kept(key)) { continue }
            let isMissing = right[key] == nil
            if isMissing { result.missing += 1 } else { result.stale += 1 }
            if result.keys.count < Self.keysMax { result.keys.append("\(key) \(isMissing ? "missing" : "stale")") }
        }
        for key in right.keys.sorted() where left[key] == nil {
            result.extra += 1
            if result.keys.count < Self.keysMax { result.keys.append("\(key) extra") }
        }
    }

    private func condition(_ side: Side, _ range: Range) -> String {
        var parts = [side.condition]
        let row = side.keys.count == 1 ? side.keys[0] : "(\(side.keys.joined(separator: ", ")))"
        for (bound, comparison) in [(range.low, ">"), (range.high, "<=")] {
            guard let bound else { continue }
            let values = zip(bound, side.keys).map { text, key in
                let literal = PGIdentifier.quoteLiteral(text)
                guard let cast = key.range(of: ")::", options: .backwards) else { return literal }
                return "\(literal)::\(key[cast.upperBound...])"
            }
            parts.append(
                "\(row) \(comparison) " + (values.count == 1 ? values[0] : "(\(values.joined(separator: ", ")))")
            )
        }
        return parts.joined(separator: " AND ")
    }

    private func bounds(_ side: Side, _ range: Range, step: Int) async throws -> [[String]] {
        let keys = side.keys.joined(separator: ", ")
        let names = side.keys.indices.map { "k\($0)" }
        let list = zip(side.keys, names).map { "\($0) AS \($1)" }.joined(separator: ", ")
        let rows = try await side.connection.query(
            """
            SELECT \(names.map { "\($0)::text" }.joined(separator: ", ")) FROM (
                SELECT \(list), row_number() OVER (ORDER BY \(keys)) AS n
                FROM \(side.rows(where: condition(side, range)))) q
            WHERE n % \(step) = 0 ORDER BY n
            """
        ).rows
        var bounds: [[String]] = []
        for row in rows {
            let bound = try names.indices.map { try row[$0].string() }
            if bounds.last != bound { bounds.append(bound) }
        }
        return bounds
    }

    struct Checksum: Sendable, Equatable {
        let rows: Int
        let sum: String
    }

    /// Of digests `h`, whatever their order.
    static let sum = """
        coalesce(sum(('x' || left(h, 16))::bit(64)::bigint), 0)::text
            || '/' || coalesce(sum(('x' || right(h, 16))::bit(64)::bigint), 0)::text
        """

    private func checksum(_ side: Side, _ range: Range) async throws -> Checksum {
        let row = try await side.connection.query(
            """
            SELECT count(*), \(Self.sum)
            FROM (SELECT \(side.row) AS h FROM \(side.rows(where: condition(side, range)))) q
            """
        ).rows.first
        return Checksum(rows: try row?[0].int() ?? 0, sum: try row?[1].string() ?? "")
    }

    private func rows(_ side: Side, _ condition: String) async throws -> [String: String] {
        let rows = try await side.connection.query(
            "SELECT \(side.keyText), \(side.row) FROM \(side.rows(where: condition))"
        ).rows
        return Dictionary(
            try rows.map { (try $0[0].string(), try $0[1].string()) },
            uniquingKeysWith: { first, second in first + second }
        )
    }
}
