/// A query for every identifier of persons in one table of the source.
package struct PersonQuery: Sendable {
    let table: SourceTable
    private let v1: [UInt8]
    private let v2: [UInt8]

    /// One for each table whose persons stand in the warehouse.
    package static let all: [PersonQuery] = [
        PersonQuery(
            table: .users,
            v1: PackageResources.persons_of_users_v1_sql,
            v2: PackageResources.persons_of_users_v2_sql
        ),
        PersonQuery(
            table: .payments,
            v1: PackageResources.persons_of_payments_v1_sql,
            v2: PackageResources.persons_of_payments_v2_sql
        ),
    ]

    package func sql(_ schema: SourceSchema) -> String {
        String(decoding: schema == .v1 ? v1 : v2, as: UTF8.self)
    }

    /// The column that the query reads.
    func column(_ schema: SourceSchema) -> String {
        switch (schema, table) {
        case (.v1, .users): "id"
        case (.v1, _): "user_id"
        case (.v2, _): "user_token"
        }
    }

    /// Whether the source has the table and the column.
    func isThere(_ catalog: SourceCatalog, _ schema: SourceSchema) -> Bool {
        catalog.columns[table.name(in: schema)]?.contains(column(schema)) == true
    }
}
