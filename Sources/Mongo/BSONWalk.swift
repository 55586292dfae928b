import Runtime

/// Reads BSON in place: one level of a document, element by element, without copying or allocating.
///
/// Every length that the bytes claim is checked before it is used, so hostile input gives `.recordMalformed` and never
/// a trap. What is not checked: that names and strings are UTF-8, and the insides of nested documents (a walk over them
/// does).
package enum BSONWalk {
    /// Hands each element of the document in `range` to `body`, in order, until it returns false.
    ///
    /// - Parameter range: the whole of `document` when nil, else an element's `value` range of a document or array.
    /// - Throws: `TallyError(.recordMalformed)` for broken bytes (elements before them were handed out), and what
    ///   `body` throws.
    package static func elements(
        of document: Span<UInt8>,
        in range: Range<Int>? = nil,
        _ body: (BSONElement) throws -> Bool
    ) throws {
        let range = range ?? 0..<document.count
        guard range.lowerBound >= 0, range.upperBound <= document.count else { throw malformed("range") }
        try checkDocument(document, range)
        let end = range.upperBound - 1
        var at = range.lowerBound + 4
        while at < end {
            guard let type = BSONType(rawValue: document[at]) else { throw malformed("type") }
            let name = (at + 1)..<(try terminator(document, from: at + 1, to: end))
            let start = name.upperBound + 1
            let length = try valueLength(type, document, start, end)
            guard length <= end - start else { throw malformed("value length") }
            guard try body(BSONElement(type: type, name: name, value: start..<(start + length))) else { return }
            at = start + length
        }
    }

    /// The little-endian int32 at `index`; throws `.recordMalformed` outside the bytes.
    package static func int32(_ document: Span<UInt8>, at index: Int) throws -> Int32 {
        guard index >= 0, index <= document.count - 4 else { throw malformed("int32") }
        return Int32(bitPattern: little(document, index))
    }

    /// The little-endian int64 at `index`; throws `.recordMalformed` outside the bytes.
    package static func int64(_ document: Span<UInt8>, at index: Int) throws -> Int64 {
        guard index >= 0, index <= document.count - 8 else { throw malformed("int64") }
        return Int64(bitPattern: little64(document, index))
    }

    /// The double at `index`; throws `.recordMalformed` outside the bytes.
    package static func double(_ document: Span<UInt8>, at index: Int) throws -> Double {
        Double(bitPattern: UInt64(bitPattern: try int64(document, at: index)))
    }

    /// A document's own length must be exactly that of the range, its last byte a NUL.
    private static func checkDocument(_ document: Span<UInt8>, _ range: Range<Int>) throws {
        guard range.count >= 5, little(document, range.lowerBound) == UInt32(truncatingIfNeeded: range.count),
            document[range.upperBound - 1] == 0
        else { throw malformed("document length") }
    }

    /// The index of the first NUL in start..<end.
    private static func terminator(_ document: Span<UInt8>, from start: Int, to end: Int) throws -> Int {
        var at = start
        while at < end {
            if document[at] == 0 { return at }
            at += 1
        }
        throw malformed("missing terminator")
    }

    /// How many bytes the value at `start` takes; at least so many are there, except for fixed sizes, which the caller
    /// compares.
    private static func valueLength(_ type: BSONType, _ document: Span<UInt8>, _ start: Int, _ end: Int) throws -> Int {
        switch type {
        case .null, .undefined, .minKey, .maxKey: return 0
        case .bool: return 1
        case .int32: return 4
        case .double, .date, .timestamp, .int64: return 8
        case .objectID: return 12
        case .decimal128: return 16
        case .string, .code, .symbol: return try stringLength(document, start, end)
        case .document, .array: return try documentLength(document, start, end)
        case .binary:
            let length = try prefix(document, start, end)
            guard length <= end - start - 5, end - start >= 5 else { throw malformed("binary length") }
            return 5 + length
        case .regex:
            let options = try terminator(document, from: start, to: end) + 1
            return try terminator(document, from: options, to: end) + 1 - start
        case .dbPointer: return try stringLength(document, start, end) + 12
        case .codeWithScope:
            let total = try prefix(document, start, end)
            guard total >= 14, total <= end - start else { throw malformed("code length") }
            let limit = start + total
            let code = try stringLength(document, start + 4, limit)
            guard try documentLength(document, start + 4 + code, limit) == total - 4 - code else {
                throw malformed("code length")
            }
            return total
        }
    }

    /// How many bytes the value at `start` takes before `end`, of the types that most fields have; nil for the others
    /// and for a length that cannot be.
    @inlinable
    @inline(__always)
    package static func plainLength(_ type: UInt8, _ document: Span<UInt8>, _ start: Int, _ end: Int) -> Int? {
        let length: Int
        switch type {  // As numbers: a raw value would be a call for each.
        case 0x02:
            guard start + 4 < end, document[start + 3] < 0x80 else { return nil }
            let count =
                Int(document[start]) | Int(document[start + 1]) << 8 | Int(document[start + 2]) << 16
                | Int(document[start + 3]) << 24
            guard count >= 1, count <= end - start - 4, document[start + 3 + count] == 0 else { return nil }
            return 4 + count
        case 0x01, 0x09, 0x12: length = 8
        case 0x07: length = 12
        case 0x10: length = 4
        case 0x08: length = 1
        case 0x0A: length = 0
        case 0x13: length = 16
        default: return nil
        }
        return length <= end - start ? length : nil
    }

    private static func stringLength(_ document: Span<UInt8>, _ start: Int, _ end: Int) throws -> Int {
        let length = try prefix(document, start, end)
        guard length >= 1, length <= end - start - 4, document[start + 3 + length] == 0 else {
            throw malformed("string length")
        }
        return 4 + length
    }

    private static func documentLength(_ document: Span<UInt8>, _ start: Int, _ end: Int) throws -> Int {
        let length = try prefix(document, start, end)
        guard length >= 5, length <= end - start, document[start + length - 1] == 0 else {
            throw malformed("document length")
        }
        return length
    }

    /// A length prefix: not negative, inside start..<end.
    private static func prefix(_ document: Span<UInt8>, _ start: Int, _ end: Int) throws -> Int {
        guard end - start >= 4 else { throw malformed("length prefix") }
        let length = Int32(bitPattern: little(document, start))
        guard length >= 0 else { throw malformed("negative length") }
        return Int(length)
    }

    @inline(__always)
    private static func little(_ document: Span<UInt8>, _ at: Int) -> UInt32 {
        UInt32(document[at]) | UInt32(document[at + 1]) << 8 | UInt32(document[at + 2]) << 16
            | UInt32(document[at + 3]) << 24
    }

    @inline(__always)
    private static func little64(_ document: Span<UInt8>, _ at: Int) -> UInt64 {
        UInt64(little(document, at)) | UInt64(little(document, at + 4)) << 32
    }

    static func malformed(_ what: String) -> TallyError {
        TallyError(.recordMalformed, during: "bson.read", "the BSON is broken: \(what)")
    }
}
