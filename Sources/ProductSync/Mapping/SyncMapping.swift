/// Which source field fills which target column: the whole of what a shop may configure about the product sync.
///
/// The default is the contract's: collection `products` into table `product`.
package struct SyncMapping: Sendable, Equatable {
    /// What a field that the document does not have gives; a field that is there and null is always NULL.
    package enum MissingRule: Sendable, Equatable {
        case null
        /// The document becomes a dead letter.
        case reject
        /// A constant, encoded for the column like a source value.
        case literal(Literal)
    }

    package enum Literal: Sendable, Equatable {
        case string(String)
        case int(Int64)
        case double(Double)
        case bool(Bool)
    }

    package struct Column: Sendable, Equatable {
        package let name: String
        /// Field names from the document's root downwards.
        package let path: [String]
        package let missing: MissingRule
        /// Line of the mapping file, nil for the built-in mapping.
        package let line: Int?

        package init(name: String, path: [String], missing: MissingRule = .null, line: Int? = nil) {
            self.name = name
            self.path = path
            self.missing = missing
            self.line = line
        }
    }

    package let file: String?
    package let collection: String
    package let schema: String?
    package let table: String
    package let tableLine: Int?
    /// Target column that holds the document's `_id`.
    package let key: String
    package let keyLine: Int?
    package let columns: [Column]
    /// Target column that grows with each change on both sides, when the shop has one (INV-9).
    package let version: String?

    package init(
        file: String? = nil,
        collection: String = "products",
        schema: String? = nil,
        table: String = "product",
        tableLine: Int? = nil,
        key: String = "id",
        keyLine: Int? = nil,
        columns: [Column],
        version: String? = nil
    ) {
        self.file = file
        self.collection = collection
        self.schema = schema
        self.table = table
        self.tableLine = tableLine
        self.key = key
        self.keyLine = keyLine
        self.columns = columns
        self.version = version
    }

    /// The mapping of the service replaced.
    package static let standard = SyncMapping(
        columns: ["title", "price", "image", "sellerId", "quantity"].map { Column(name: $0, path: [$0]) }
    )

    /// `file:line` for an error about something the mapping says, or words for the built-in mapping.
    package func place(_ line: Int?) -> String {
        guard let file else { return "built-in mapping" }
        return line.map { "\(file):\($0)" } ?? file
    }
}
