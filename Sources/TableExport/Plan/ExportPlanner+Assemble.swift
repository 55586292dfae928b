import ConfigFile
import Postgres
import Runtime

extension ExportPlanner {
    func assemble(
        _ from: RelationShape,
        _ into: RelationShape,
        _ fitted: (columns: [ExportColumn], isBinary: Bool),
        _ mapping: ColumnMapping,
        _ cursorType: CursorType,
        _ lookback: Lookback
    ) -> ExportPlan {
        var extras = fitted.columns.count
        func order(_ name: String) -> OrderColumn {
            let quoted = PGIdentifier.quote(name)
            let oid = from.types[name]?.oid ?? 0
            // A row's bytes show the position only where the column travels as it is, in a form that we can read.
            let index = fitted.columns.firstIndex { $0.sql == quoted && $0.oid == oid }
            let isReadable = !fitted.isBinary || FieldText.isReadable(oid)
            let isExtra = index == nil || !isReadable || definition.transform.swift != nil
            defer { extras += isExtra ? 1 : 0 }
            return OrderColumn(
                sql: quoted,
                typeSQL: from.typeNames[name] ?? "text",
                oid: isExtra ? 25 : oid,
                isNullable: from.column(name)?.notNull != true,
                field: isExtra ? extras : index ?? extras,
                isExtra: isExtra
            )
        }
        let cursor = order(definition.source.cursor.text)
        let id = definition.source.idField.map { order($0.text) }
        let position = Set([definition.source.cursor.text] + [definition.source.idField?.text].compactMap { $0 })
        return ExportPlan(
            definition: definition,
            sourceSQL: from.sql,
            targetSQL: into.sql,
            columns: fitted.columns,
            format: fitted.isBinary ? .binary : .text,
            cursor: cursor,
            cursorType: cursorType,
            id: id,
            isPositionUnique: id?.isNullable == false
                && from.table.uniqueIndexes.contains { Set($0.columns).isSubset(of: position) },
            isKeyUnique: isKeyUnique(from, fitted.columns),
            xminHidden: xminHidden(from),
            hasParts: !from.parts.isEmpty,
            mayCopyDirectly: !into.hasRules && cursor.isExtra == false && id?.isExtra != true
                && definition.onError == .stop,
            insertsOverIdentity: into.table.columns.contains(where: \.isIdentity),
            showsWriters: into.showsSystemColumns,
            mark: mark(into),
            lookback: lookback,
            signature: mapping.signature,
            additions: mapping.additions,
            notices: mapping.notices + notices
                + (from.isView ? ["the source is a view: its cursor's index was not checked"] : [])
        )
    }

    /// Whether a unique index of the source stands under the conflict columns.
    private func isKeyUnique(_ from: RelationShape, _ columns: [ExportColumn]) -> Bool {
        guard definition.transform.swift == nil else { return false }
        let passing = definition.destination.conflictColumns.compactMap { key -> String? in
            guard let column = columns.first(where: { $0.target == key.text }) else { return nil }
            return from.table.columns.first { $0.name == column.distinct && $0.notNull }?.name
        }
        return from.table.uniqueIndexes.contains { Set($0.columns).isSubset(of: Set(passing)) }
    }

    private func mark(_ into: RelationShape) -> MarkColumn? {
        guard case .mark(let column) = definition.deletes else { return nil }
        return MarkColumn(sql: PGIdentifier.quote(column), isBoolean: into.types[column]?.oid == 16)
    }

    private func xminHidden(_ from: RelationShape) -> String? {
        if from.parts.contains("f") { return "a partition of the source is a foreign table" }
        if !from.parts.isSubset(of: ["heap", "p"]) {
            return "the access method of a partition of the source keeps no xmin"
        }
        return switch from.table.kind {
        case "r" where from.accessMethod == "heap", "p": nil
        case "v": "the source is a view"
        case "m": nil
        case "f": "the source is a foreign table"
        default: "the source's access method keeps no xmin"
        }
    }
}
