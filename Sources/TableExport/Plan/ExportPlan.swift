package import ConfigFile
import Postgres
import Runtime

/// One column on its way: what the source server is asked for and where it goes.
struct ExportColumn: Sendable, Equatable {
    let target: String
    let sql: String
    /// The type of `sql`'s values, domains looked through.
    let oid: UInt32
    /// The target column's type as SQL writes it.
    let targetType: String
    /// That type is one of the server's own, so that the source can cast to it.
    let isTargetBuiltIn: Bool
    /// The source column of which each value gives another value here; nil for an expression and where two may fall
    /// together.
    let distinct: String?
}

/// A column of the source that orders rows, and where its value stands in a row on its way.
struct OrderColumn: Sendable, Equatable {
    let sql: String
    let typeSQL: String
    let oid: UInt32
    let isNullable: Bool
    /// Index among the fields of a row; for a column that is not exported as it is, behind the exported ones, as text.
    let field: Int
    let isExtra: Bool
}

/// A column of the target that tells since when, or whether, the source has a row no more.
struct MarkColumn: Sendable, Equatable {
    let sql: String
    let isBoolean: Bool

    var marked: String { isBoolean ? "true" : "now()" }
    var unmarked: String { isBoolean ? "false" : "NULL" }
    /// Whether a row of that alias is marked.
    func isMarked(_ alias: String) -> String {
        isBoolean ? "coalesce(\(alias).\(sql), false)" : "\(alias).\(sql) IS NOT NULL"
    }
}

/// A definition compiled against both catalogs.
package struct ExportPlan: Sendable {
    let definition: ExportDefinition
    let sourceSQL: String
    let targetSQL: String
    let columns: [ExportColumn]
    let format: PGCopyFormat
    let cursor: OrderColumn
    let cursorType: CursorType
    let id: OrderColumn?
    /// No two rows share cursor and id, so that a position need not be read again.
    let isPositionUnique: Bool
    /// No two rows of the source share the conflict columns.
    let isKeyUnique: Bool
    /// Why `xmin` of the source cannot be asked, if it cannot.
    let xminHidden: String?
    /// The source has partitions, or tables that inherit from it.
    let hasParts: Bool
    /// COPY may go straight into the target while it is empty.
    let mayCopyDirectly: Bool
    let insertsOverIdentity: Bool
    /// The target tells which transaction wrote a row.
    let showsWriters: Bool
    /// Where deleted rows are marked: set to NULL or false when a row comes back.
    let mark: MarkColumn?
    let lookback: Lookback
    /// Source columns and their types as they were exported, to notice drift at the next run.
    let signature: [String: String]
    /// ALTER TABLE statements that `drift: add` asks for.
    let additions: [String]
    /// What the run says although nothing is wrong.
    let notices: [String]

    package var keyColumns: [String] { definition.destination.conflictColumns.map(\.text) }
    /// Bad rows become dead letters instead of ending the run.
    var setsAside: Bool { definition.onError == .quarantine }
    var skipSQL: String? { definition.transform.skip?.text }
    var extraFields: Int { [cursor, id].compactMap { $0 }.filter(\.isExtra).count }
    var targetColumnsSQL: String { columns.map { PGIdentifier.quote($0.target) }.joined(separator: ", ") }
    var keySQL: String { keyColumns.map(PGIdentifier.quote).joined(separator: ", ") }
}

/// Something about a definition that both catalogs together show to be wrong.
package struct ExportProblem: Sendable, Equatable {
    package let place: FilePlace
    package let text: String
    /// The SQL that would mend it.
    package let mend: String?
    let kind: TallyError.Kind

    init(_ place: FilePlace, _ text: String, mend: String? = nil, kind: TallyError.Kind = .schemaMismatch) {
        self.place = place
        self.text = text
        self.mend = mend
        self.kind = kind
    }
}

extension [ExportProblem] {
    /// All problems as one error; `.permissionDenied` when they are about rights only.
    func error() -> TallyError {
        let denied = allSatisfy { $0.kind == .permissionDenied }
        let mends = compactMap(\.mend)
        return TallyError(
            denied ? .permissionDenied : .schemaMismatch,
            during: "export.plan",
            map { "\($0.place): \($0.text)" }.joined(separator: "; "),
            remedy: mends.isEmpty ? nil : mends.joined(separator: " ")
        )
    }
}
