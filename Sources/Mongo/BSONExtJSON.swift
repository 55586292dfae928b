import Runtime

/// The JSON text of a BSON value, as it is stored in `json` and `jsonb` columns.
///
/// Made for people and SQL, not for a way back: ids are plain strings, numbers plain numbers.
///
/// | BSON | JSON |
/// |---|---|
/// | double | number, the shortest that reads back; NaN and infinities `"NaN"`, `"Infinity"`, `"-Infinity"` |
/// | int32, int64 | number |
/// | decimal128 | number with all its digits; NaN and infinities as for double |
/// | string, symbol | string |
/// | bool; null, undefined | `true`, `false`; `null` |
/// | objectId | string of 24 hex digits |
/// | date | string `2024-02-29T12:00:00.000Z`; outside the years 0…9999 a string of the milliseconds since 1970 |
/// | binary | UUID (subtype 4): string with dashes; else a base64 string |
/// | document, array | object, array |
/// | regex | `{"$regularExpression":{"pattern":…,"options":…}}` |
/// | timestamp | `{"$timestamp":{"t":…,"i":…}}` |
/// | code | `{"$code":…}`, with scope `{"$code":…,"$scope":{…}}` |
/// | dbPointer | `{"$dbPointer":{"$ref":…,"$id":…}}` |
/// | minKey, maxKey | `{"$minKey":1}`, `{"$maxKey":1}` |
///
/// The `$` forms are those of MongoDB's Extended JSON v2.
package enum BSONExtJSON {
    /// How deep documents may nest (MongoDB's own limit for stored documents).
    package static let depthMax = 100

    /// Appends the UTF-8 JSON text of one value of `document` to `out`.
    ///
    /// - Throws: `TallyError(.recordMalformed)` for broken BSON, text that is not UTF-8, U+0000 in a text or name
    ///   (`jsonb` cannot hold it), or nesting deeper than `depthMax`; `out` is then as it was.
    package static func append(_ element: BSONElement, of document: Span<UInt8>, to out: inout [UInt8]) throws {
        let start = out.count
        do {
            try appendValue(element, document, depth: 1, to: &out)
        } catch {
            out.removeSubrange(start...)
            throw error
        }
    }

    /// The whole document as one JSON object. Throws as `append` does.
    package static func text(of document: BSONDocument) throws -> String {
        var out: [UInt8] = []
        let whole = BSONElement(type: .document, name: 0..<0, value: 0..<document.bytes.count)
        try append(whole, of: document.bytes.span, to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    private static func appendValue(
        _ element: BSONElement,
        _ document: Span<UInt8>,
        depth: Int,
        to out: inout [UInt8]
    ) throws {
        let at = element.value.lowerBound
        switch element.type {
        case .double: JSONText.append(try BSONWalk.double(document, at: at), to: &out)
        case .int32: JSONText.append(Int64(try BSONWalk.int32(document, at: at)), to: &out)
        case .int64: JSONText.append(try BSONWalk.int64(document, at: at), to: &out)
        case .decimal128: try appendDecimal(document, at, to: &out)
        case .string, .symbol: try JSONText.quote(document, content(element.value), to: &out)
        case .bool: out.append(literal: document[at] == 0 ? "false" : "true")
        case .null, .undefined: out.append(literal: "null")
        case .objectID: JSONText.quoteHex(document, element.value, to: &out)
        case .date: JSONText.quoteDate(milliseconds: try BSONWalk.int64(document, at: at), to: &out)
        case .binary: try appendBinary(element, document, to: &out)
        case .document: try appendNested(element.value, isArray: false, document, depth: depth, to: &out)
        case .array: try appendNested(element.value, isArray: true, document, depth: depth, to: &out)
        case .regex, .timestamp, .code, .codeWithScope, .dbPointer, .minKey, .maxKey:
            try appendWrapped(element, document, depth: depth, to: &out)
        }
    }

    /// A string's text: behind its length, before its NUL.
    private static func content(_ value: Range<Int>) -> Range<Int> {
        (value.lowerBound + 4)..<(value.upperBound - 1)
    }

    private static func appendDecimal(_ document: Span<UInt8>, _ at: Int, to out: inout [UInt8]) throws {
        let low = UInt64(bitPattern: try BSONWalk.int64(document, at: at))
        let high = UInt64(bitPattern: try BSONWalk.int64(document, at: at + 8))
        Decimal128Text.append(high: high, low: low, to: &out)
    }

    private static func appendBinary(_ element: BSONElement, _ document: Span<UInt8>, to out: inout [UInt8]) throws {
        let subtype = document[element.value.lowerBound + 4]
        var bytes = (element.value.lowerBound + 5)..<element.value.upperBound
        if subtype == 4, bytes.count == 16 {
            JSONText.quoteUUID(document, bytes, to: &out)
            return
        }
        // Subtype 2 (old binary) repeats its length inside.
        if subtype == 2, bytes.count >= 4 { bytes = (bytes.lowerBound + 4)..<bytes.upperBound }
        JSONText.quoteBase64(document, bytes, to: &out)
    }

    /// A document as an object, or an array, whose names are its places and not written.
    private static func appendNested(
        _ range: Range<Int>,
        isArray: Bool,
        _ document: Span<UInt8>,
        depth: Int,
        to out: inout [UInt8]
    ) throws {
        guard depth <= depthMax else { throw BSONWalk.malformed("nested deeper than \(depthMax)") }
        out.append(isArray ? UInt8(ascii: "[") : UInt8(ascii: "{"))
        var first = true
        try BSONWalk.elements(of: document, in: range) { element in
            if !first { out.append(UInt8(ascii: ",")) }
            first = false
            if !isArray {
                try JSONText.quote(document, element.name, to: &out)
                out.append(UInt8(ascii: ":"))
            }
            try appendValue(element, document, depth: depth + 1, to: &out)
            return true
        }
        out.append(isArray ? UInt8(ascii: "]") : UInt8(ascii: "}"))
    }

    /// The types JSON has no word for.
    private static func appendWrapped(
        _ element: BSONElement,
        _ document: Span<UInt8>,
        depth: Int,
        to out: inout [UInt8]
    ) throws {
        let value = element.value
        switch element.type {
        case .regex:
            let middle = value.first { document[$0] == 0 } ?? value.lowerBound
            out.append(literal: #"{"$regularExpression":{"pattern":"#)
            try JSONText.quote(document, value.lowerBound..<middle, to: &out)
            out.append(literal: #","options":"#)
            try JSONText.quote(document, (middle + 1)..<(value.upperBound - 1), to: &out)
            out.append(literal: "}}")
        case .timestamp:
            out.append(literal: #"{"$timestamp":{"t":"#)
            let time = try BSONWalk.int32(document, at: value.lowerBound + 4)
            JSONText.append(Int64(UInt32(bitPattern: time)), to: &out)
            out.append(literal: #","i":"#)
            let ordinal = try BSONWalk.int32(document, at: value.lowerBound)
            JSONText.append(Int64(UInt32(bitPattern: ordinal)), to: &out)
            out.append(literal: "}}")
        case .code:
            out.append(literal: #"{"$code":"#)
            try JSONText.quote(document, content(value), to: &out)
            out.append(literal: "}")
        case .codeWithScope:
            let length = Int(try BSONWalk.int32(document, at: value.lowerBound + 4))
            let scope = value.lowerBound + 8 + length
            out.append(literal: #"{"$code":"#)
            try JSONText.quote(document, (value.lowerBound + 8)..<(scope - 1), to: &out)
            out.append(literal: #","$scope":"#)
            try appendNested(scope..<value.upperBound, isArray: false, document, depth: depth, to: &out)
            out.append(literal: "}")
        case .dbPointer:
            out.append(literal: #"{"$dbPointer":{"$ref":"#)
            try JSONText.quote(document, (value.lowerBound + 4)..<(value.upperBound - 13), to: &out)
            out.append(literal: #","$id":"#)
            JSONText.quoteHex(document, (value.upperBound - 12)..<value.upperBound, to: &out)
            out.append(literal: "}}")
        case .minKey: out.append(literal: #"{"$minKey":1}"#)
        default: out.append(literal: #"{"$maxKey":1}"#)
        }
    }
}
