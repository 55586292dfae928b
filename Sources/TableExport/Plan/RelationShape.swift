import Postgres
import Runtime

/// A type as both sides of an export must know it: domains are looked through.
struct TypeShape: Sendable, Equatable {
    /// Of the type under a domain.
    let oid: UInt32
    /// As SQL writes it, without a modifier; schema-qualified when it is not on the search path.
    let name: String
    /// `pg_type.typcategory`.
    let category: String
    /// The element's OID of an array, else 0.
    let element: UInt32

    /// Types with numbers below this are the server's own, the same on every server (FirstNormalObjectId).
    var isBuiltIn: Bool { oid < 16_384 && element < 16_384 }
    var bareName: String {
        let unquoted = name.replacing("\"", with: "")
        return unquoted.split(separator: ".").last.map(String.init) ?? unquoted
    }
}

/// A table or view with what an export asks about it beyond `PGTable`.
struct RelationShape: Sendable {
    let table: PGTable
    /// Column → type with its modifier, as SQL writes it.
    let typeNames: [String: String]
    let types: [String: TypeShape]
    /// First columns of its complete B-tree indexes.
    let indexedFirst: Set<String>
    /// `heap`, or another access method, which need not keep `xmin`; nil for what has none.
    let accessMethod: String?
    /// Of what the table consists of beside itself, at any depth: access methods of tables, kinds of all else.
    let parts: Set<String>
    let privileges: Set<String>
    let hasRules: Bool
    /// SELECT is granted on the table and not only on columns of it, so that `xmin` may be read.
    let showsSystemColumns: Bool

    var sql: String { "\(PGIdentifier.quote(table.schema)).\(PGIdentifier.quote(table.name))" }
    func column(_ name: String) -> PGColumn? { table.columns.first { $0.name == name } }
    var isView: Bool { table.kind == "v" || table.kind == "f" || table.kind == "m" }
}

extension RelationShape {
    enum Finding: Sendable {
        case found(RelationShape)
        case noSchema
        case noUsage
        case noTable
    }

    static func find(_ connection: PGConnection, schema: String, table: String) async throws -> Finding {
        let usage = try await connection.query(
            "SELECT has_schema_privilege(n.oid, 'USAGE') FROM pg_namespace n WHERE nspname = $1::text",
            [.text(schema)]
        ).rows.first
        guard let usage else { return .noSchema }
        guard try usage[0].bool() else { return .noUsage }
        guard let found = try await PGCatalog.table(connection, schema: schema, name: table) else { return .noTable }
        return .found(try await shape(connection, found))
    }

    private static func shape(_ connection: PGConnection, _ table: PGTable) async throws -> RelationShape {
        let oid = PGValue.int(Int64(table.oid))
        let columns = try await connection.query(
            """
            SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), b.oid, format_type(b.oid, NULL),
                   b.typcategory::text, CASE WHEN b.typcategory = 'A' THEN b.typelem ELSE 0 END
            FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
            WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped
            """,
            [oid]
        ).rows
        let first = try await connection.query(
            """
            SELECT DISTINCT a.attname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            JOIN pg_am m ON m.oid = c.relam
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = $1::int8::oid AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree'
            """,
            [oid]
        ).rows
        let other = try await connection.query(
            """
            SELECT (SELECT amname::text FROM pg_am WHERE oid = c.relam), c.relhasrules,
                   array_to_string(ARRAY(SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
                       WHERE has_table_privilege(c.oid, p)
                       OR p <> 'DELETE' AND has_any_column_privilege(c.oid, p)), ','),
                   has_table_privilege(c.oid, 'SELECT')
            FROM pg_class c WHERE c.oid = $1::int8::oid
            """,
            [oid]
        ).rows.first
        let parts = try await connection.query(
            """
            WITH RECURSIVE part AS (
                SELECT inhrelid FROM pg_inherits WHERE inhparent = $1::int8::oid
                UNION SELECT i.inhrelid FROM part JOIN pg_inherits i ON i.inhparent = part.inhrelid
            )
            SELECT DISTINCT CASE WHEN c.relkind = 'r' THEN coalesce(m.amname::text, 'heap') ELSE c.relkind::text END
            FROM part JOIN pg_class c ON c.oid = inhrelid LEFT JOIN pg_am m ON m.oid = c.relam
            """,
            [oid]
        ).rows
        return RelationShape(
            table: table,
            typeNames: Dictionary(
                try columns.map { (try $0[0].string(), try $0[1].string()) },
                uniquingKeysWith: { first, _ in first }
            ),
            types: Dictionary(
                try columns.map { (try $0[0].string(), try TypeShape(row: $0, from: 2)) },
                uniquingKeysWith: { first, _ in first }
            ),
            indexedFirst: Set(try first.map { try $0[0].string() }),
            accessMethod: try other.flatMap { $0[0].isNull ? nil : try $0[0].string() },
            parts: Set(try parts.map { try $0[0].string() }),
            privileges: Set(try other.map { try $0[2].string().split(separator: ",").map(String.init) } ?? []),
            hasRules: try other?[1].bool() ?? false,
            showsSystemColumns: try other?[3].bool() ?? false
        )
    }
}

extension TypeShape {
    fileprivate init(row: PGRow, from index: Int) throws {
        oid = UInt32(try row[index].int64())
        name = try row[index + 1].string()
        category = try row[index + 2].string()
        element = UInt32(try row[index + 3].int64())
    }

    /// The shapes of the types with these numbers, which are no domains.
    static func find(_ connection: PGConnection, _ oids: [UInt32]) async throws -> [UInt32: TypeShape] {
        let rows = try await connection.query(
            """
            SELECT t.oid, format_type(t.oid, NULL), t.typcategory::text,
                   CASE WHEN t.typcategory = 'A' THEN t.typelem ELSE 0 END
            FROM pg_type t WHERE t.oid = ANY ($1::int8[]::oid[])
            """,
            [.intArray(Set(oids).map { Int64($0) })]
        ).rows
        let shapes = try rows.map { try TypeShape(row: $0, from: 0) }
        return Dictionary(shapes.map { ($0.oid, $0) }, uniquingKeysWith: { first, _ in first })
    }
}
