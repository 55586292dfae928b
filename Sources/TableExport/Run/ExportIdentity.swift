import ConfigFile
import Engine
import Postgres
import Runtime

/// What a position belongs to: with any of it changed, the position says nothing about the rows that have arrived.
struct ExportIdentity: Sendable, Equatable {
    let source: String
    let cursor: String
    /// Empty where there is none.
    let id: String
    let target: String

    init(_ definition: ExportDefinition) {
        source = "\(definition.source.schema).\(definition.source.table.text)"
        cursor = definition.source.cursor.text
        id = definition.source.idField?.text ?? ""
        target = "\(definition.destination.schema).\(definition.destination.table.text)"
    }
}

extension ExportIdentity {
    /// What the last run was; nil before the first, and before the first of a version that keeps it.
    static func read(_ key: String, on connection: PGConnection) async throws -> ExportIdentity? {
        let row = try await connection.query(
            """
            SELECT source_table, cursor_field, id_field, target_table FROM etl.table_exports
            WHERE key = $1 AND source_table IS NOT NULL
            """,
            [.text(key)]
        ).rows.first
        guard let row else { return nil }
        return ExportIdentity(
            source: try row[0].string(),
            cursor: try row[1].string(),
            id: try row[2].string(),
            target: try row[3].string()
        )
    }

    private init(source: String, cursor: String, id: String, target: String) {
        self.source = source
        self.cursor = cursor
        self.id = id
        self.target = target
    }

    func write(_ key: String, on connection: PGConnection) async throws {
        _ = try await connection.query(
            """
            INSERT INTO etl.table_exports (key, column_names, column_types, source_table, cursor_field, id_field,
                target_table)
            VALUES ($1, '{}', '{}', $2, $3, $4, $5)
            ON CONFLICT (key) DO UPDATE SET source_table = excluded.source_table, cursor_field = excluded.cursor_field,
                id_field = excluded.id_field, target_table = excluded.target_table
            """,
            [.text(key), .text(source), .text(cursor), .text(id), .text(target)]
        )
    }

    /// What `now` has otherwise that the position means something by, for people; empty where nothing.
    ///
    /// An id that is added or left out changes nothing: the rows that share the position's cursor are read again.
    func changes(_ now: ExportIdentity) -> [String] {
        let ids = id.isEmpty || now.id.isEmpty ? ("", "") : (id, now.id)
        return [
            ("source", source, now.source), ("cursor", cursor, now.cursor), ("idField", ids.0, ids.1),
            ("destination", target, now.target),
        ].filter { $0.1 != $0.2 }.map { "\($0.0) was \($0.1) and is \($0.2)" }
    }

    /// Whether `now` is to be kept in place of this: an id was added. One that was left out may still be in a position.
    func isCompleted(by now: ExportIdentity) -> Bool { id.isEmpty && !now.id.isEmpty && changes(now).isEmpty }

    /// Throws `.schemaMismatch` when the definition was edited since the position was reached.
    func check(_ definition: ExportDefinition) throws {
        let changes = changes(ExportIdentity(definition))
        guard !changes.isEmpty else { return }
        throw TallyError(
            .schemaMismatch,
            during: "export.plan",
            "\(definition.place): the position of \"\(definition.key)\" was reached by another definition: "
                + changes.joined(separator: "; "),
            remedy: "A run with --full accepts that, reads everything and makes a new position; "
                + "or give the export a new key."
        )
    }
}

extension ExportPass {
    /// Throws `.schemaMismatch` when rows that arrived are all gone from the target: what follows would hide that.
    ///
    /// Where rows may be left out on their way nothing can be said, and with `since` an operator says what is wanted.
    func checkTarget() async throws {
        guard stored != nil, let position, context.options.full != true, context.options.since == nil,
            transform == nil, !plan.setsAside
        else { return }
        guard try await into.query("SELECT 1 FROM \(plan.targetSQL) LIMIT 1").rows.isEmpty else { return }
        let statement = ReadStatement(plan: plan)
        let arrived = "\(statement.everything) AND \(statement.upTo(position))"
        guard try await !from.query("\(statement.select(["1"], where: arrived)) LIMIT 1").rows.isEmpty else { return }
        throw TallyError(
            .schemaMismatch,
            during: "export.plan",
            "the target \(plan.targetSQL) is empty although rows up to the position (\(position.text)) have arrived",
            remedy: "A run with --full fills it again; one with --since from there on only."
        )
    }
}
