import Foundation
import Postgres

/// A field of a row image as text, for people.
enum FieldText {
    static let charactersMax = 4_000

    static func text(_ bytes: Span<UInt8>, _ range: Range<Int>, _ type: FieldType) -> String {
        let text = whole(bytes, range, type)
        return text.count > charactersMax ? text.prefix(charactersMax) + "…" : text
    }

    private static func whole(_ bytes: Span<UInt8>, _ range: Range<Int>, _ type: FieldType) -> String {
        switch type {
        case .bool: return bytes[range.lowerBound] == 0 ? "false" : "true"
        case .int2, .int4, .int8: return String(SyncKey.integer(Array(bytes, range)))
        case .float4:
            guard range.count == 4 else { return hex(bytes, range) }
            return "\(Float(bitPattern: UInt32(bitPattern: bytes.bigEndianInt32(at: range.lowerBound))))"
        case .float8:
            guard range.count == 8 else { return hex(bytes, range) }
            return "\(Double(bitPattern: bytes.bigEndianUInt64(at: range.lowerBound)))"
        case .numeric: return PGNumeric(binary: bytes.extracting(range))?.text ?? hex(bytes, range)
        case .text, .padded, .json: return String(decoding: Array(bytes, range), as: UTF8.self)
        case .jsonb: return String(decoding: Array(bytes, range).dropFirst(), as: UTF8.self)
        case .timestamp(_, let zoned): return timestamp(SyncKey.integer(Array(bytes, range)), zoned: zoned)
        case .date: return date(SyncKey.integer(Array(bytes, range)))
        case .uuid: return HexText.uuid(Array(bytes, range))
        case .bytea: return hex(bytes, range)
        case .array(let element, _): return array(bytes, range, element)
        }
    }

    private static func hex(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        var out: [UInt8] = []
        HexText.append(bytes, range, to: &out)
        return "\\x" + String(decoding: out, as: UTF8.self)
    }

    /// Microseconds since 2000-01-01, as PostgreSQL counts.
    private static func timestamp(_ microseconds: Int64, zoned: Bool) -> String {
        if microseconds == .max { return "infinity" }
        if microseconds == .min { return "-infinity" }
        let date = Date(timeIntervalSince1970: Double(microseconds) / 1_000_000 + 946_684_800)
        let text = date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        return zoned ? text : String(text.dropLast())
    }

    /// Days since 2000-01-01.
    private static func date(_ days: Int64) -> String {
        if days == Int64(Int32.max) { return "infinity" }
        if days == Int64(Int32.min) { return "-infinity" }
        let date = Date(timeIntervalSince1970: Double(days) * 86_400 + 946_684_800)
        return String(date.formatted(Date.ISO8601FormatStyle()).prefix { $0 != "T" })
    }

    /// One dimension, as `ImageComparison` reads it; another shape is shown as its bytes.
    private static func array(_ bytes: Span<UInt8>, _ range: Range<Int>, _ element: FieldType) -> String {
        guard range.count >= 12 else { return hex(bytes, range) }
        let dimensions = bytes.bigEndianInt32(at: range.lowerBound)
        if dimensions == 0 { return "{}" }
        guard dimensions == 1, range.count >= 20 else { return hex(bytes, range) }
        let fields = RowImage.fields(bytes, (range.lowerBound + 18)..<range.upperBound)
        let texts = fields.map { field in field.map { whole(bytes, $0, element) } ?? "NULL" }
        return "{" + texts.joined(separator: ", ") + "}"
    }
}

extension SyncKey {
    /// The key's bytes in the target for a key as `text` wrote it; nil when the column cannot hold it.
    func bytes(ofText text: String) -> [UInt8]? {
        switch self {
        case .text(_, let charactersMax, let padded):
            guard !text.isEmpty, !text.utf8.contains(0), text.unicodeScalars.count <= charactersMax ?? .max else {
                return nil
            }
            let blanks = padded ? (charactersMax ?? 0) - text.unicodeScalars.count : 0
            return Array(text.utf8) + Array(repeating: UInt8(ascii: " "), count: max(0, blanks))
        case .integer(let type):
            switch type {
            case .int2: return Int16(text).map { Self.big($0) }
            case .int4: return Int32(text).map { Self.big($0) }
            default: return Int64(text).map { Self.big($0) }
            }
        case .uuid: return HexText.bytes(ofUUID: text)
        }
    }

    private static func big(_ number: some FixedWidthInteger) -> [UInt8] {
        var out: [UInt8] = []
        out.appendBigEndian(number)
        return out
    }
}
