/// Why a document's value cannot stand in its column; safe to print, since it holds no value.
package struct FieldRejection: Error, Sendable, Equatable {
    package enum Reason: String, Sendable, CaseIterable {
        case wrongType = "wrong-type"
        case outOfRange = "out-of-range"
        case notExact = "not-exact"
        case nulCharacter = "nul-character"
        case invalidUTF8 = "invalid-utf8"
        case tooLong = "too-long"
        case notNull = "not-null"
        case missing = "missing"
        case malformed = "malformed"
        case keyType = "key-type"
        case duplicateKey = "duplicate-key"
    }

    package let reason: Reason
    /// Index into the plan's columns.
    package var column: Int

    package init(_ reason: Reason, column: Int = 0) {
        self.reason = reason
        self.column = column
    }
}

extension FieldRejection.Reason {
    /// The reason as an operator reads it.
    package var words: String {
        switch self {
        case .wrongType: "the value's type does not fit the column"
        case .outOfRange: "the number or date is outside the column's range"
        case .notExact: "the number cannot be held exactly"
        case .nulCharacter: "the text holds a NUL character, which PostgreSQL cannot store"
        case .invalidUTF8: "the text is not valid UTF-8"
        case .tooLong: "the text is longer than the column allows"
        case .notNull: "the column is NOT NULL and the document has no value"
        case .missing: "the document lacks the field"
        case .malformed: "the document cannot be read"
        case .keyType: "the _id cannot be held by the key column"
        case .duplicateKey: "another document, whose _id sorts before, has the same key"
        }
    }
}
