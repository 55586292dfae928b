import ConfigFile
import Engine
import Postgres
import Runtime

/// Finds the row that the source server stumbled over, under the run's snapshot.
struct BadRowSearch: Sendable {
    let plan: ExportPlan
    let connection: PGConnection

    struct Found: Sendable {
        let position: Position
        /// The conflict columns' values with commas between, where the server can compute them.
        let key: String?
        /// No good row lies before it.
        let isFirst: Bool
    }

    private var statement: ReadStatement { ReadStatement(plan: plan) }

    /// The first row of `condition`, in the order of positions, that cannot be computed; nil when there is none.
    ///
    /// Costs a logarithm's worth of readings; nothing of what they compute leaves the server.
    func find(_ condition: String) async throws -> Found? {
        var good = 0
        var size = 1
        while try await isComputable(condition, size) {
            guard try await count(condition, size) == size else { return nil }
            good = size
            size *= 4
        }
        var bad = size
        while bad - good > 1 {
            let middle = (good + bad) / 2
            if try await isComputable(condition, middle) { good = middle } else { bad = middle }
        }
        return try await row(condition, good)
    }

    private func inner(_ condition: String, limit: Int, offset: Int = 0) -> String {
        "(SELECT * FROM \(plan.sourceSQL) WHERE \(condition) ORDER BY \(statement.orderSQL) "
            + "LIMIT \(limit) OFFSET \(offset)) AS \(PGIdentifier.quote(plan.definition.source.table.text))"
    }

    private func isComputable(_ condition: String, _ rows: Int) async throws -> Bool {
        let list = plan.columns.map(\.sql).joined(separator: ", ")
        let sql =
            "SELECT count(*) FROM \(inner(condition, limit: rows)) "
            + "WHERE pg_column_size(ROW(\(list))) >= 0\(statement.skip)"
        return try await tried { _ = try await connection.query(sql) }
    }

    private func count(_ condition: String, _ rows: Int) async throws -> Int {
        try await connection.query("SELECT count(*) FROM \(inner(condition, limit: rows))").rows.first?[0].int() ?? 0
    }

    private func row(_ condition: String, _ offset: Int) async throws -> Found? {
        let order = [plan.cursor, plan.id].compactMap { $0 }.map { "\($0.sql)::text" }
        let from = inner(condition, limit: 1, offset: offset)
        let row = try await connection.query("SELECT \(order.joined(separator: ", ")) FROM \(from)").rows.first
        guard let row else { return nil }
        let position = Position(
            cursor: try row[0].string(),
            id: order.count > 1 ? try row[1].string() : nil
        )
        var key: String?
        let keys = plan.keyColumns.compactMap { name in plan.columns.first { $0.target == name } }
        let list = keys.map { "(\($0.sql))::text" }.joined(separator: " || ',' || ")
        _ = try await tried { key = try await connection.query("SELECT \(list) FROM \(from)").rows.first?[0].string() }
        return Found(position: position, key: key, isFirst: offset == 0)
    }

    /// Whether `body` went without an error about data; the transaction survives one.
    private func tried(_ body: () async throws -> Void) async throws -> Bool {
        try await connection.execute("SAVEPOINT tallyman_try")
        do {
            try await body()
            try await connection.execute("RELEASE SAVEPOINT tallyman_try")
            return true
        } catch let error as TallyError where error.isAboutData {
            try await connection.execute("ROLLBACK TO SAVEPOINT tallyman_try")
            return false
        }
    }
}
