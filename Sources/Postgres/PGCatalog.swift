import Runtime

package struct PGType: Sendable, Equatable {
    package let oid: UInt32
    package let name: String
    package let elementOID: UInt32?
    /// The type under a domain.
    package let baseOID: UInt32?
    /// `pg_type.typcategory` of the base type.
    package let category: String

    package init(oid: UInt32, name: String, elementOID: UInt32?, baseOID: UInt32?, category: String) {
        self.oid = oid
        self.name = name
        self.elementOID = elementOID
        self.baseOID = baseOID
        self.category = category
    }
}

package struct PGCollation: Sendable, Equatable {
    package let name: String
    /// Sorts like memcmp: libc's C and POSIX and PostgreSQL's builtin provider, be it as the database's default.
    package let isByteOrder: Bool
}

package struct PGColumn: Sendable, Equatable {
    package let name: String
    package let type: PGType
    package let typmod: Int32
    package let notNull: Bool
    package let hasDefault: Bool
    package let isGenerated: Bool
    package let isIdentity: Bool
    package let collation: PGCollation?

    package init(
        name: String,
        type: PGType,
        typmod: Int32,
        notNull: Bool,
        hasDefault: Bool,
        isGenerated: Bool,
        isIdentity: Bool,
        collation: PGCollation?
    ) {
        self.name = name
        self.type = type
        self.typmod = typmod
        self.notNull = notNull
        self.hasDefault = hasDefault
        self.isGenerated = isGenerated
        self.isIdentity = isIdentity
        self.collation = collation
    }
}

package struct PGUniqueIndex: Sendable, Equatable {
    package let name: String
    package let columns: [String]
    package let isPrimary: Bool
    /// Not deferrable, so that `ON CONFLICT` can use it.
    package let immediate: Bool

    package init(name: String, columns: [String], isPrimary: Bool, immediate: Bool) {
        self.name = name
        self.columns = columns
        self.isPrimary = isPrimary
        self.immediate = immediate
    }
}

/// A table as the catalog describes it.
package struct PGTable: Sendable, Equatable {
    package let schema: String
    package let name: String
    package let oid: UInt32
    package let columns: [PGColumn]
    /// Complete unique indexes on plain columns: none that is partial, on an expression or not yet valid.
    package let uniqueIndexes: [PGUniqueIndex]
    /// `pg_class.relkind`.
    package let kind: String
    package let hasTriggers: Bool

    package init(
        schema: String,
        name: String,
        oid: UInt32,
        columns: [PGColumn],
        uniqueIndexes: [PGUniqueIndex],
        kind: String,
        hasTriggers: Bool
    ) {
        self.schema = schema
        self.name = name
        self.oid = oid
        self.columns = columns
        self.uniqueIndexes = uniqueIndexes
        self.kind = kind
        self.hasTriggers = hasTriggers
    }
}

/// Looks tables up in `pg_catalog`.
package enum PGCatalog {
    /// The table of that name; nil schema means the search path; nil when there is none. Costs three queries.
    package static func table(_ connection: PGConnection, schema: String?, name: String) async throws -> PGTable? {
        let qualified = (schema.map { PGIdentifier.quote($0) + "." } ?? "") + PGIdentifier.quote(name)
        let found = try await connection.query(
            """
            SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relhastriggers
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.oid = pg_catalog.to_regclass($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            """,
            [.text(qualified)]
        )
        guard let row = found.rows.first else { return nil }
        let oid = try row[0].int64()
        return PGTable(
            schema: try row[1].string(),
            name: try row[2].string(),
            oid: UInt32(oid),
            columns: try await columns(connection, oid),
            uniqueIndexes: try await uniqueIndexes(connection, oid),
            kind: try row[3].string(),
            hasTriggers: try row[4].bool()
        )
    }

    private static func columns(_ connection: PGConnection, _ table: Int64) async throws -> [PGColumn] {
        let result = try await connection.query(
            """
            SELECT a.attname::text, t.oid, format_type(t.oid, NULL), t.typelem, t.typbasetype, b.typcategory::text,
                   CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END, a.attnotnull OR t.typnotnull,
                   a.atthasdef, a.attgenerated <> '', a.attidentity <> '', coalesce(co.collname::text, ''),
                   coalesce(CASE co.collprovider
                       WHEN 'c' THEN co.collcollate IN ('C', 'POSIX')
                       WHEN 'b' THEN true
                       WHEN 'd' THEN (
                           SELECT CASE coalesce(to_jsonb(d) ->> 'datlocprovider', 'c')
                               WHEN 'c' THEN d.datcollate IN ('C', 'POSIX')
                               WHEN 'b' THEN true END
                           FROM pg_catalog.pg_database d WHERE d.datname = current_database())
                       END, false)
            FROM pg_catalog.pg_attribute a
            JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
            JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
            LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation
            WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
            """,
            [.int(table)]
        )
        return try result.rows.map { row in
            let element = UInt32(try row[3].int64())
            let base = UInt32(try row[4].int64())
            let collation = try row[11].string()
            return PGColumn(
                name: try row[0].string(),
                type: PGType(
                    oid: UInt32(try row[1].int64()),
                    name: try row[2].string(),
                    elementOID: element == 0 ? nil : element,
                    baseOID: base == 0 ? nil : base,
                    category: try row[5].string()
                ),
                typmod: Int32(try row[6].int64()),
                notNull: try row[7].bool(),
                hasDefault: try row[8].bool(),
                isGenerated: try row[9].bool(),
                isIdentity: try row[10].bool(),
                collation: collation.isEmpty ? nil : PGCollation(name: collation, isByteOrder: try row[12].bool())
            )
        }
    }

    private static func uniqueIndexes(_ connection: PGConnection, _ table: Int64) async throws -> [PGUniqueIndex] {
        let result = try await connection.query(
            """
            SELECT c.relname::text, i.indisprimary, i.indimmediate,
                   (SELECT string_agg(a.attname::text, E'\\x01' ORDER BY k.n)
                    FROM unnest(i.indkey) WITH ORDINALITY k(attnum, n)
                    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                    WHERE k.n <= i.indnkeyatts)
            FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
            WHERE i.indrelid = $1::int8::oid AND i.indisunique AND i.indisvalid
                AND i.indpred IS NULL AND i.indexprs IS NULL
            """,
            [.int(table)]
        )
        return try result.rows.map { row in
            PGUniqueIndex(
                name: try row[0].string(),
                columns: try row[3].string().split(separator: "\u{1}").map(String.init),
                isPrimary: try row[1].bool(),
                immediate: try row[2].bool()
            )
        }
    }
}
