import ConfigFile
import Postgres
import Runtime

extension ExportPlanner {
    /// Prepares the statement on the source server in a read-only session; the type of each column.
    mutating func prepare(
        _ wanted: [WantedColumn],
        _ from: RelationShape,
        _ connection: PGConnection
    ) async throws -> [TypeShape] {
        let skip = definition.transform.skip
        do {
            let oids = try await describe(wanted.map(\.sql), skip: skip?.text, from, connection)
            let shapes = try await TypeShape.find(connection, oids)
            return oids.map { shapes[$0] ?? TypeShape(oid: $0, name: "unknown", category: "U", element: 0) }
        } catch let error as TallyError where error.serverError != nil && error.kind.disposition != .retry {
            // One of them is wrong: each alone tells which.
            for column in wanted where column.passing == nil {
                await blame(column.place, "the expression of \"\(column.target)\"", [column.sql], nil, from, connection)
            }
            if let skip { await blame(skip.place, "\"skip\"", ["1"], skip.text, from, connection) }
            if problems.isEmpty { throw error }
            return []
        }
    }

    private mutating func blame(
        _ place: FilePlace,
        _ what: String,
        _ sql: [String],
        _ skip: String?,
        _ from: RelationShape,
        _ connection: PGConnection
    ) async {
        do {
            _ = try await describe(sql, skip: skip, from, connection)
        } catch {
            // The statement reads no row, so the server's message can hold no value of one.
            let message = (error as? TallyError)?.serverError?.message ?? "it could not be prepared"
            note(place, "the source refuses \(what): \(message)")
        }
    }

    private func describe(
        _ sql: [String],
        skip: String?,
        _ from: RelationShape,
        _ connection: PGConnection
    ) async throws -> [UInt32] {
        let list = sql.enumerated().map { "\($1) AS c\($0)" }.joined(separator: ", ")
        let condition = skip.map { " AND NOT coalesce((\($0)), false)" } ?? ""
        return try await connection.withTransaction(readOnly: true) { connection in
            try await connection.query("SELECT \(list) FROM \(from.sql) WHERE false\(condition)").columns.map(\.oid)
        }
    }

    /// Finds how each value gets into its column; types that do not fit become problems.
    mutating func fit(
        _ wanted: [WantedColumn],
        _ types: [TypeShape],
        _ from: RelationShape,
        _ into: RelationShape
    ) -> (columns: [ExportColumn], isBinary: Bool) {
        // Only text can be read field by field, which setting rows aside and Swift transforms need.
        var isBinary = definition.transform.swift == nil && definition.onError == .stop
        var columns: [ExportColumn] = []
        for (column, type) in zip(wanted, types) {
            guard let target = into.types[column.target], let name = into.typeNames[column.target] else { continue }
            var (sql, oid) = (column.sql, type.oid)
            var distinct = column.passing
            switch TypeFit.of(type, to: target) {
            case .binary: break
            case .cast(let wider):
                (sql, oid) = ("(\(sql))::\(wider)", target.oid)
                if !TypeFit.keepsDistinct(type, as: target) { distinct = nil }
            case .text: isBinary = false
            case .unfit:
                note(
                    column.place,
                    "\"\(column.target)\" is \(type.name) in the source and \(name) on the target, which does not fit; "
                        + "cast it if that is meant: casts: {\(column.target): \(name)}",
                    mend: "ALTER TABLE \(into.sql) ALTER COLUMN \(PGIdentifier.quote(column.target)) "
                        + "TYPE \(type.name);"
                )
            }
            if type.oid == 114, target.oid == 3802, column.passing != nil {
                notices.append(
                    "column \"\(column.target)\" is json in the source and jsonb on the target, which keeps neither "
                        + "blanks nor the order of members nor all of one name; `casts` says that this is meant"
                )
            }
            if let passing = column.passing { checkDigits(column, from.column(passing), into.column(column.target)) }
            let isBuiltIn = into.column(column.target).map { $0.type.oid < 16_384 } ?? false
            columns.append(
                ExportColumn(
                    target: column.target,
                    sql: sql,
                    oid: oid,
                    targetType: name,
                    isTargetBuiltIn: isBuiltIn,
                    distinct: distinct
                )
            )
        }
        return (columns, isBinary)
    }

    /// A number or a time with fewer digits behind the point would be rounded in silence.
    private mutating func checkDigits(_ column: WantedColumn, _ from: PGColumn?, _ into: PGColumn?) {
        guard let from, let into, let before = FractionDigits(from), let after = FractionDigits(into),
            before.kind == after.kind, after.count < before.count || (after.isPartial && !before.isPartial)
        else { return }
        let name = FractionDigits.typeWithoutModifier(into.type)
        let target =
            "\(PGIdentifier.quote(definition.destination.schema))"
            + ".\(PGIdentifier.quote(definition.destination.table.text))"
        note(
            column.place,
            "\"\(column.target)\" would be rounded: the source keeps more digits behind the point than the target; "
                + "cast it to the target's type if that is meant",
            mend: "ALTER TABLE \(target) ALTER COLUMN \(PGIdentifier.quote(column.target)) TYPE \(name);"
        )
    }

    /// The conflict columns need a unique index on the target, and no NULL may hide in them.
    mutating func checkKeys(_ into: RelationShape, _ from: RelationShape) {
        let keys = definition.destination.conflictColumns
        let names = keys.map(\.text)
        let list = names.map(PGIdentifier.quote).joined(separator: ", ")
        for key in keys where into.column(key.text) == nil {
            note(key.place, "the target \(into.sql) has no column \"\(key.text)\"")
        }
        guard problems.isEmpty else { return }
        if !into.table.uniqueIndexes.contains(where: { $0.immediate && Set($0.columns) == Set(names) }) {
            note(
                keys[0].place,
                "the target \(into.sql) has no unique index on (\(list))",
                mend: "CREATE UNIQUE INDEX CONCURRENTLY ON \(into.sql) (\(list));"
            )
        }
        for key in keys where into.column(key.text)?.notNull == false {
            note(
                key.place,
                "the target's conflict column \"\(key.text)\" takes NULL, and rows with NULL would be added again "
                    + "and again",
                mend: "ALTER TABLE \(into.sql) ALTER COLUMN \(PGIdentifier.quote(key.text)) SET NOT NULL;"
            )
        }
    }
}
