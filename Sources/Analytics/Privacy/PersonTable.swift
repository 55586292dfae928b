/// A table of the warehouse with rows of persons, and the columns that hold their tokens.
struct PersonTable: Sendable {
    let name: String
    /// The first is part of the key; in a row they all hold the same token or nothing.
    let tokens: [String]

    static let all: [PersonTable] = Measure.all.compactMap { measure in
        let tokens = measure.tokenColumns.map { measure.columns[$0] }
        return tokens.isEmpty ? nil : PersonTable(name: measure.table, tokens: tokens)
    }
}
