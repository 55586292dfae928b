/// One query of the source and the warehouse table it fills.
package struct Measure: Sendable {
    /// A table of the source with the columns that the query cannot do without.
    package struct Need: Sendable {
        let table: SourceTable
        let columns: Set<String>
    }

    /// What people call it; the query's file is named after it.
    package let name: String
    /// Qualified, as it stands in SQL.
    package let table: String
    /// In the order of the query and of the table; the first is the day unless `isSnapshot`.
    package let columns: [String]
    package let dayColumn: String
    /// How many of the columns, from the first on, are the key.
    let keyWidth: Int
    /// Columns that hold identifiers of persons.
    let tokenColumns: [Int]
    /// Holds the state of the newest day alone, not one set of rows a day.
    let isSnapshot: Bool
    /// Partitioned by month.
    let isMonthly: Bool
    /// The query's file, with the names of either schema in braces, as `SourceSchema.filled` takes it.
    private let text: [UInt8]
    /// The same over v1 with the columns of the service replaced, where they differ.
    private let legacyText: [UInt8]?
    private let v1Needs: [Need]
    private let v2Needs: [Need]

    init(
        _ name: String,
        into table: String,
        day: String,
        columns: [String],
        keyWidth: Int = 1,
        tokenColumns: [Int] = [],
        isSnapshot: Bool = false,
        isMonthly: Bool = false,
        text: [UInt8],
        legacyText: [UInt8]? = nil,
        v1 v1Needs: [Need],
        v2 v2Needs: [Need]
    ) {
        self.name = name
        self.table = table
        dayColumn = day
        self.columns = columns
        self.keyWidth = keyWidth
        self.tokenColumns = tokenColumns
        self.isSnapshot = isSnapshot
        self.isMonthly = isMonthly
        self.text = text
        self.legacyText = legacyText
        self.v1Needs = v1Needs
        self.v2Needs = v2Needs
    }

    package func needs(_ schema: SourceSchema) -> [Need] { schema == .v1 ? v1Needs : v2Needs }

    /// The query; parameters are those of `WindowParameters`.
    package func sql(_ schema: SourceSchema, legacy: Bool) -> String {
        schema.filled(schema == .v1 && legacy ? legacyText ?? text : text)
    }

    /// Every measure of the four jobs.
    package static let all = ofUsers + ofOrders + ofPayments + ofNotifications

    var columnList: String { columns.joined(separator: ", ") }
    var keyList: String { columns.prefix(keyWidth).joined(separator: ", ") }
}

extension Measure.Need {
    static func users(_ columns: String...) -> Measure.Need { .init(table: .users, columns: Set(columns)) }
    static func orders(_ columns: String...) -> Measure.Need { .init(table: .orders, columns: Set(columns)) }
    static func payments(_ columns: String...) -> Measure.Need { .init(table: .payments, columns: Set(columns)) }
    static let items = Measure.Need(table: .items, columns: SourceTable.items.promised(in: .v2))
    static let notifications = Measure.Need(table: .notifications, columns: [])
}
