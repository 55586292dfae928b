package import Postgres
import Runtime

/// A row in a Swift transform's hands: values by the target's column names, typed on asking.
package struct ExportRow: Sendable {
    private let names: [String: Int]
    private(set) var fields: [String?]

    init(names: [String: Int], fields: [String?]) {
        self.names = names
        self.fields = fields
    }

    /// The value as PostgreSQL writes it; nil for NULL. Throws `.recordMalformed` for a column that is not exported.
    package func text(_ column: String) throws -> String? { fields[try index(column)] }

    /// Throws `.recordMalformed` for a value that is no whole number of 64 bits.
    package func int(_ column: String) throws -> Int64? {
        try typed(column, "a whole number") { Int64($0) }
    }

    /// Throws `.recordMalformed` for a value that is no number.
    package func double(_ column: String) throws -> Double? {
        try typed(column, "a number") { Double($0) }
    }

    /// Every digit of a numeric. Throws `.recordMalformed` for a value that is no decimal number.
    package func decimal(_ column: String) throws -> PGNumeric? {
        try typed(column, "a decimal number") { PGNumeric(decimalText: $0) }
    }

    /// Throws `.recordMalformed` for a value that is no boolean.
    package func bool(_ column: String) throws -> Bool? {
        try typed(column, "a boolean") { ["t": true, "true": true, "f": false, "false": false][$0] }
    }

    package mutating func set(_ column: String, to value: String?) throws { fields[try index(column)] = value }
    package mutating func set(_ column: String, to value: Int64?) throws { try set(column, to: value.map { "\($0)" }) }
    package mutating func set(_ column: String, to value: Bool?) throws {
        try set(column, to: value.map { $0 ? "t" : "f" })
    }

    private func typed<Value>(_ column: String, _ what: String, _ parse: (String) -> Value?) throws -> Value? {
        guard let text = try text(column) else { return nil }
        guard let value = parse(text) else {
            throw TallyError(.recordMalformed, during: "export.transform", "column \"\(column)\" is not \(what)")
        }
        return value
    }

    private func index(_ column: String) throws -> Int {
        guard let index = names[column] else {
            throw TallyError(.recordMalformed, during: "export.transform", "there is no column \"\(column)\"")
        }
        return index
    }
}

/// A transform that YAML cannot say: one row in, that row or none out.
///
/// It must leave the conflict columns alone, and give the same row for the same row: a batch may be read again.
package typealias ExportTransform = @Sendable (ExportRow) throws -> ExportRow?
