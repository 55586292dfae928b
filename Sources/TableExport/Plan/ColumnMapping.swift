import ConfigFile
import Postgres

/// A column that the target shall get, before types were looked at.
struct WantedColumn: Sendable, Equatable {
    let target: String
    let sql: String
    let place: FilePlace
    /// The source column that passes as it is; nil for an expression.
    let passing: String?
}

/// Decides which columns travel, from the definition, both tables and what travelled before.
struct ColumnMapping {
    let definition: ExportDefinition
    let source: RelationShape
    let target: RelationShape
    let remembered: [String: String]?
    private(set) var wanted: [WantedColumn] = []
    private(set) var additions: [String] = []
    private(set) var notices: [String] = []
    private(set) var signature: [String: String] = [:]
    private var problems: [ExportProblem] = []

    init(
        definition: ExportDefinition,
        source: RelationShape,
        target: RelationShape,
        remembered: [String: String]?
    ) {
        self.definition = definition
        self.source = source
        self.target = target
        self.remembered = remembered
    }

    private var transform: ExportDefinition.Transform { definition.transform }

    /// Fills `wanted`; what is wrong.
    mutating func map() -> [ExportProblem] {
        checkDrift()
        for (name, renamed) in transform.rename.sorted(by: { $0.key < $1.key }) where source.column(name) == nil {
            problem(renamed.place, "the source \(source.sql) has no column \"\(name)\" to rename")
        }
        let derived = Set(transform.columns.map(\.column.text))
        for column in passingColumns() {
            let name = transform.rename[column.text]?.text ?? column.text
            guard !derived.contains(name) else { continue }
            add(column, as: name)
        }
        for column in transform.columns { derive(column) }
        let names = Set(wanted.map(\.target))
        for (name, cast) in transform.casts.sorted(by: { $0.key < $1.key }) where !names.contains(name) {
            problem(cast.place, "\"casts\" names \"\(name)\", which is not exported")
        }
        for column in target.table.columns
        where column.notNull && !column.hasDefault && !column.isIdentity && !column.isGenerated
            && !names.contains(column.name)
        {
            problem(
                definition.destination.table.place,
                "the target's column \"\(column.name)\" takes no NULL and nothing feeds it",
                mend: "ALTER TABLE \(target.sql) ALTER COLUMN \(PGIdentifier.quote(column.name)) DROP NOT NULL;"
            )
        }
        if Set(wanted.map(\.target)).count < wanted.count {
            problem(definition.place, "two columns of the export have the same name on the target")
        }
        return problems
    }

    private mutating func problem(_ place: FilePlace, _ text: String, mend: String? = nil) {
        problems.append(ExportProblem(place, text, mend: mend))
    }

    private func passingColumns() -> [Placed] {
        definition.source.columns
            ?? source.table.columns.map { Placed($0.name, definition.source.table.place) }
    }

    private func cast(_ sql: String, _ name: String) -> String {
        transform.casts[name].map { "(\(sql))::\($0.text)" } ?? sql
    }

    private mutating func add(_ column: Placed, as name: String) {
        guard source.column(column.text) != nil else {
            return problem(column.place, "the source \(source.sql) has no column \"\(column.text)\"")
        }
        let type = source.typeNames[column.text] ?? "text"
        guard let into = target.column(name) else { return missing(column, as: name, type: type) }
        guard !into.isGenerated else {
            notices.append("column \"\(name)\" is generated on the target and is not exported")
            return
        }
        signature[column.text] = type
        let quoted = PGIdentifier.quote(column.text)
        let sql = cast(quoted, name)
        wanted.append(
            WantedColumn(target: name, sql: sql, place: column.place, passing: sql == quoted ? column.text : nil)
        )
    }

    private mutating func missing(_ column: Placed, as name: String, type: String) {
        let alter = "ALTER TABLE \(target.sql) ADD COLUMN \(PGIdentifier.quote(name)) \(type);"
        if remembered?[column.text] != nil {
            return problem(
                definition.destination.table.place,
                "the target's column \"\(name)\", which was exported before, is gone",
                mend: alter
            )
        }
        let isListed = definition.source.columns != nil || transform.rename[column.text] != nil
        if definition.drift == .add, !isListed {
            additions.append(alter)
            notices.append(
                "column \"\(name)\" is new in the source and is added on the target; "
                    + "rows exported before get it with --full"
            )
        } else if remembered != nil, !isListed {
            notices.append("column \"\(name)\" is new in the source and not on the target; it is not exported")
        } else {
            problem(column.place, "the target \(target.sql) has no column \"\(name)\"", mend: alter)
        }
    }

    private mutating func derive(_ derived: ExportDefinition.Derived) {
        let name = derived.column.text
        guard let into = target.column(name) else {
            return problem(
                derived.column.place,
                "the target \(target.sql) has no column \"\(name)\"",
                mend: "ALTER TABLE \(target.sql) ADD COLUMN \(PGIdentifier.quote(name)) text;"
            )
        }
        guard !into.isGenerated else {
            return problem(derived.column.place, "the target's column \"\(name)\" is generated; nothing can feed it")
        }
        wanted.append(
            WantedColumn(
                target: name,
                sql: cast("(\(derived.sql))", name),
                place: derived.column.place,
                passing: nil
            )
        )
    }

    /// A column that travelled before and is gone or of another type halts the export before anything is written.
    private mutating func checkDrift() {
        guard let remembered, definition.source.columns == nil else { return }
        let place = definition.source.table.place
        for (name, type) in remembered.sorted(by: { $0.key < $1.key }) {
            guard let now = source.typeNames[name] else {
                problem(
                    place,
                    "the source's column \"\(name)\", which was exported before, is gone; "
                        + "a run with --full accepts that"
                )
                continue
            }
            if Self.bare(now) != Self.bare(type) {
                problem(
                    place,
                    "the source's column \"\(name)\" was of type \(type) and is \(now); a run with --full accepts that"
                )
            }
        }
    }

    /// The type without its modifier: a longer varchar is no drift.
    private static func bare(_ type: String) -> String {
        guard let open = type.firstIndex(of: "("), let close = type.firstIndex(of: ")") else { return type }
        return String(type[..<open] + type[type.index(after: close)...])
    }
}
