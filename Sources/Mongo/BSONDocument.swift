/// One whole BSON document as bytes, with its length prefix and final NUL.
///
/// Equality is by bytes: two spellings of one meaning (field order, int32 or int64) differ.
package struct BSONDocument: Sendable, Hashable {
    package var bytes: [UInt8]

    package init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// The document without fields.
    package static let empty = BSONDocument(bytes: [5, 0, 0, 0, 0])
}

extension BSONDocument {
    /// The first element of this name; nil when there is none. Throws `.recordMalformed` for broken bytes before it.
    ///
    /// Costs a walk over the document's top level.
    package func element(_ name: String) throws -> BSONElement? {
        let span = bytes.span
        var found: BSONElement?
        try BSONWalk.elements(of: span) { element in
            guard element.name.count == name.utf8.count else { return true }
            var at = element.name.lowerBound
            for byte in name.utf8 {
                guard span[at] == byte else { return true }
                at += 1
            }
            found = element
            return false
        }
        return found
    }

    /// A whole number of this name, whichever numeric type carries it; nil when absent, of another type or not whole.
    package func int(_ name: String) throws -> Int? {
        guard let element = try element(name) else { return nil }
        let at = element.value.lowerBound
        switch element.type {
        case .int32: return Int(try BSONWalk.int32(bytes.span, at: at))
        case .int64: return Int(exactly: try BSONWalk.int64(bytes.span, at: at))
        case .double: return Int(exactly: try BSONWalk.double(bytes.span, at: at))
        default: return nil
        }
    }

    /// A string of this name; nil when absent or of another type.
    package func string(_ name: String) throws -> String? {
        guard let element = try element(name), element.type == .string else { return nil }
        return String(decoding: bytes[(element.value.lowerBound + 4)..<(element.value.upperBound - 1)], as: UTF8.self)
    }

    /// A boolean of this name; nil when absent or of another type.
    package func bool(_ name: String) throws -> Bool? {
        guard let element = try element(name), element.type == .bool else { return nil }
        return bytes[element.value.lowerBound] != 0
    }

    /// The strings of an array of this name, other elements left out; empty when absent.
    package func strings(_ name: String) throws -> [String] {
        guard let element = try element(name), element.type == .array else { return [] }
        var found: [String] = []
        try BSONWalk.elements(of: bytes.span, in: element.value) { item in
            if item.type == .string {
                let content = (item.value.lowerBound + 4)..<(item.value.upperBound - 1)
                found.append(String(decoding: bytes[content], as: UTF8.self))
            }
            return true
        }
        return found
    }
}
