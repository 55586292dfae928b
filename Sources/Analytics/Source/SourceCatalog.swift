package import Postgres
import Runtime

/// What the source has of the tables and columns that the measures read.
package struct SourceCatalog: Sendable {
    /// Columns by table name; a table that is not there has no entry.
    package let columns: [String: Set<String>]

    package init(columns: [String: Set<String>]) { self.columns = columns }

    /// The catalog of a source that has all that is read of one schema.
    package static func complete(_ schema: SourceSchema) -> SourceCatalog {
        let tables = SourceTable.allCases.map { ($0.name(in: schema), $0.columnsRead(in: schema)) }
        return SourceCatalog(columns: Dictionary(tables) { first, _ in first })
    }

    /// Looks every table of both schemas up on the search path, in one statement.
    package static func read(_ connection: PGConnection) async throws -> SourceCatalog {
        let names = SourceSchema.allCases.flatMap { schema in SourceTable.allCases.map { $0.name(in: schema) } }
        let found = try await connection.query(
            """
            SELECT wanted.name, a.attname::text
            FROM unnest($1::text[]) AS wanted (name)
            JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(pg_catalog.quote_ident(wanted.name))
            LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
            """,
            [.textArray(names)]
        )
        var columns: [String: Set<String>] = [:]
        for row in found.rows {
            let name = try row[0].string()
            columns[name, default: []].formUnion(row[1].isNull ? [] : [try row[1].string()])
        }
        return SourceCatalog(columns: columns)
    }

    /// Whether any of the four v1 tables is there.
    var hasV1: Bool {
        [.users, .orders, .payments, .notifications].contains { (table: SourceTable) in
            columns[table.name(in: .v1)] != nil
        }
    }

    /// Whether the legacy flag counts. Throws `.settingsInvalid` where flags and tables contradict each other.
    ///
    /// `isIgnored` is true when the flag is set but the v2 tables are read while the v1 tables are still there.
    package func legacy(_ settings: AnalyticsSettings) throws -> (isOn: Bool, isIgnored: Bool) {
        guard settings.isLegacy else { return (false, false) }
        if settings.readsV1 { return (true, false) }
        guard hasV1 else {
            throw TallyError(
                .settingsInvalid,
                during: "analytics.catalog",
                "ENABLE_LEGACY_ETL is true while ENABLE_V1_SCHEMA is false and the source has no v1 tables",
                remedy: "Set ENABLE_LEGACY_ETL=false."
            )
        }
        return (false, true)
    }

    /// Splits measures into those the source can give and those that are off, each with the reason.
    ///
    /// Throws `.settingsInvalid` when the chosen schema's main table is missing, `.schemaMismatch` when it lacks a
    /// column that every source has.
    package func split(
        _ measures: [Measure],
        main: SourceTable,
        schema: SourceSchema
    ) throws -> (on: [Measure], off: [(measure: String, reason: String)]) {
        let name = main.name(in: schema)
        guard let present = columns[name] else {
            let flag = schema == .v1 ? "true" : "false"
            throw TallyError(
                .settingsInvalid,
                during: "analytics.catalog",
                "ENABLE_V1_SCHEMA is \(flag), but the source has no table \"\(name)\"",
                remedy: "Let ENABLE_V1_SCHEMA name the schema the source has, or check ANALYTICS_SOURCE_URL."
            )
        }
        let broken = main.promised(in: schema).subtracting(present).sorted()
        guard broken.isEmpty else {
            throw TallyError(
                .schemaMismatch,
                during: "analytics.catalog",
                "table \"\(name)\" of the source lacks \(broken.joined(separator: ", "))"
            )
        }
        var on: [Measure] = []
        var off: [(measure: String, reason: String)] = []
        for measure in measures {
            if let reason = missing(measure.needs(schema), schema) {
                off.append((measure.name, reason))
            } else {
                on.append(measure)
            }
        }
        return (on, off)
    }

    /// Throws what a run would refuse: flags that contradict the tables, main tables that are missing or broken.
    package func check(_ settings: AnalyticsSettings) throws {
        _ = try legacy(settings)
        for area in AnalyticsJob.areas { _ = try split(area.measures, main: area.main, schema: settings.schema) }
    }

    /// Statements that let `role` read of a schema's tables what the runs read and the source has, and no more.
    package func grants(_ schema: SourceSchema, to role: String) -> [String] {
        SourceTable.allCases.compactMap { table in
            let name = table.name(in: schema)
            let read = table.columnsRead(in: schema).intersection(columns[name] ?? []).sorted()
            guard !read.isEmpty else { return nil }
            return "GRANT SELECT (\(read.joined(separator: ", "))) ON TABLE \(name) TO \(role);"
        }
    }

    /// The optional columns of a measure's tables that are there.
    func present(_ measure: Measure, _ schema: SourceSchema) -> [String] {
        let tables = measure.needs(schema).map { $0.table.name(in: schema) }
        return tables.reduce(into: Set<String>()) { $0.formUnion(columns[$1] ?? []) }
            .intersection(SourceTable.optional).sorted()
    }

    private func missing(_ needs: [Measure.Need], _ schema: SourceSchema) -> String? {
        for need in needs {
            let name = need.table.name(in: schema)
            guard let present = columns[name] else { return "the source has no table \(name)" }
            let absent = need.columns.subtracting(present).sorted()
            if !absent.isEmpty { return "\(name) has no \(absent.joined(separator: ", "))" }
        }
        return nil
    }
}
