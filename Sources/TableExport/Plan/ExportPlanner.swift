import ConfigFile
import Postgres
import Runtime

/// Compiles a definition against both catalogs; every problem is found, not only the first.
struct ExportPlanner {
    let definition: ExportDefinition
    let lookback: Lookback?
    /// Source columns and types of the last run; nil before the first and when drift is accepted.
    let remembered: [String: String]?
    private(set) var problems: [ExportProblem] = []
    /// What a run says about types although they fit.
    var notices: [String] = []

    init(definition: ExportDefinition, lookback: Lookback? = nil, remembered: [String: String]? = nil) {
        self.definition = definition
        self.lookback = lookback ?? definition.lookback
        self.remembered = remembered
    }

    /// Throws `.schemaMismatch` or `.permissionDenied` with every problem, its file and line, and what would mend it.
    mutating func plan(source: PGConnection, target: PGConnection) async throws -> ExportPlan {
        let from = try await relation(source, isSource: true)
        let into = try await relation(target, isSource: false)
        guard let from, let into else { throw problems.error() }
        try await checkSource(from, source)
        try await checkRights(into, target)
        var mapping = ColumnMapping(definition: definition, source: from, target: into, remembered: remembered)
        problems += mapping.map()
        guard problems.isEmpty else { throw problems.error() }
        let prepared = try await prepare(mapping.wanted, from, source)
        guard problems.isEmpty else { throw problems.error() }
        let columns = fit(mapping.wanted, prepared, from, into)
        checkKeys(into, from)
        guard problems.isEmpty, let cursorType = cursorType(from) else { throw problems.error() }
        let lookback = lookbackFor(cursorType)
        guard problems.isEmpty else { throw problems.error() }
        return assemble(from, into, columns, mapping, cursorType, lookback)
    }

    mutating func note(_ place: FilePlace, _ text: String, mend: String? = nil) {
        problems.append(ExportProblem(place, text, mend: mend))
    }

    private mutating func relation(_ connection: PGConnection, isSource: Bool) async throws -> RelationShape? {
        let side = isSource ? "source" : "target"
        let schema = isSource ? definition.source.schema : definition.destination.schema
        let table = isSource ? definition.source.table : definition.destination.table
        switch try await RelationShape.find(connection, schema: schema, table: table.text) {
        case .found(let shape): return shape
        case .noSchema:
            note(
                table.place,
                "the \(side) has no schema \"\(schema)\"",
                mend: isSource ? nil : "CREATE SCHEMA \(PGIdentifier.quote(schema));"
            )
        case .noUsage:
            problems.append(
                ExportProblem(
                    table.place,
                    "the role may not use the \(side)'s schema \"\(schema)\"",
                    mend: "GRANT USAGE ON SCHEMA \(PGIdentifier.quote(schema)) TO \(try await role(connection));",
                    kind: .permissionDenied
                )
            )
        case .noTable: note(table.place, "the \(side) has no table \"\(schema)\".\"\(table.text)\"")
        }
        return nil
    }

    private func role(_ connection: PGConnection) async throws -> String {
        try await connection.query("SELECT quote_ident(current_user)").rows.first?[0].string() ?? "<role>"
    }

    private mutating func checkRights(_ into: RelationShape, _ target: PGConnection) async throws {
        let place = definition.destination.table.place
        var wanted = ["SELECT", "INSERT", "UPDATE"]
        if definition.deletes == .delete { wanted.append("DELETE") }
        let lacking = wanted.filter { !into.privileges.contains($0) }
        if !lacking.isEmpty {
            let list = lacking.joined(separator: ", ")
            problems.append(
                ExportProblem(
                    place,
                    "the role lacks \(list) on the target \(into.sql)",
                    mend: "GRANT \(list) ON \(into.sql) TO \(try await role(target));",
                    kind: .permissionDenied
                )
            )
        }
        let own = try await target.query(
            "SELECT has_database_privilege(current_database(), 'TEMPORARY'), quote_ident(current_database())"
        )
        if let row = own.rows.first, try !row[0].bool() {
            problems.append(
                ExportProblem(
                    place,
                    "the role may not create temporary tables in the target's database",
                    mend: "GRANT TEMPORARY ON DATABASE \(try row[1].string()) TO \(try await role(target));",
                    kind: .permissionDenied
                )
            )
        }
        if into.isView { note(place, "the target \(into.sql) is not a table") }
        checkMark(into)
    }

    private mutating func checkMark(_ into: RelationShape) {
        guard case .mark(let column) = definition.deletes else { return }
        let place = definition.destination.table.place
        guard let type = into.types[column] else {
            let add = "ALTER TABLE \(into.sql) ADD COLUMN \(PGIdentifier.quote(column)) timestamptz;"
            note(place, "the target \(into.sql) has no column \"\(column)\" to mark deleted rows with", mend: add)
            return
        }
        if ![16, 1082, 1114, 1184].contains(type.oid) {
            note(place, "the column \"\(column)\" that marks deleted rows must be a boolean, a timestamp or a date")
        }
    }

    private mutating func checkSource(_ from: RelationShape, _ source: PGConnection) async throws {
        if !from.privileges.contains("SELECT") {
            problems.append(
                ExportProblem(
                    definition.source.table.place,
                    "the role lacks SELECT on the source \(from.sql)",
                    mend: "GRANT SELECT ON \(from.sql) TO \(try await role(source));",
                    kind: .permissionDenied
                )
            )
        }
        let cursor = definition.source.cursor
        let quoted = PGIdentifier.quote(cursor.text)
        if from.column(cursor.text) == nil {
            note(cursor.place, "the source \(from.sql) has no column \"\(cursor.text)\" to be the cursor")
        } else if !from.isView, !from.indexedFirst.contains(cursor.text) {
            let keys = ([cursor] + [definition.source.idField].compactMap { $0 })
                .map { PGIdentifier.quote($0.text) }.joined(separator: ", ")
            note(
                cursor.place,
                "the cursor \(quoted) of the source \(from.sql) has no index",
                mend: "CREATE INDEX CONCURRENTLY ON \(from.sql) (\(keys));"
            )
        }
        if let id = definition.source.idField, from.column(id.text) == nil {
            note(id.place, "the source \(from.sql) has no column \"\(id.text)\" to break ties with")
        }
    }

    private mutating func cursorType(_ from: RelationShape) -> CursorType? {
        let cursor = definition.source.cursor
        guard let type = from.types[cursor.text], let known = CursorType(oid: type.oid) else {
            note(
                cursor.place,
                "the cursor \"\(cursor.text)\" is of type \(from.typeNames[cursor.text] ?? "unknown"); "
                    + "it must be timestamp, timestamptz, date or an integer"
            )
            return nil
        }
        return known
    }

    private mutating func lookbackFor(_ type: CursorType) -> Lookback {
        switch (lookback, type.isTime) {
        case (nil, true): return .seconds(900)
        case (nil, false): return .count(10_000)
        case (.seconds(let seconds)?, true): return .seconds(seconds)
        case (.count(let count)?, false): return .count(count)
        case (.everything?, _): return .everything
        case (.off?, _): return .off
        case (.seconds?, false):
            note(definition.lookbackPlace, "the cursor is a number, so \"lookback\" must be a number of ids or all")
        case (.count?, true):
            note(definition.lookbackPlace, "the cursor is a time, so \"lookback\" must be a span of time or all")
        }
        return .everything
    }
}
