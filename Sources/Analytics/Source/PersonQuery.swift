/// A query for every identifier of persons in one table of the source.
package struct PersonQuery: Sendable {
    let table: SourceTable
    private let text: [UInt8]

    /// One for each table whose persons stand in the warehouse.
    package static let all: [PersonQuery] = [
        PersonQuery(table: .users, text: PackageResources.persons_of_users_sql),
        PersonQuery(table: .payments, text: PackageResources.persons_of_payments_sql),
    ]

    package func sql(_ schema: SourceSchema) -> String { schema.filled(text) }

    /// The column that the query reads.
    func column(_ schema: SourceSchema) -> String {
        table == .users ? schema.userColumn : schema.ownerColumn
    }

    /// Whether the source has the table and the column.
    func isThere(_ catalog: SourceCatalog, _ schema: SourceSchema) -> Bool {
        catalog.columns[table.name(in: schema)]?.contains(column(schema)) == true
    }
}
