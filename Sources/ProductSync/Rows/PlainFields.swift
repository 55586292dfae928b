import Mongo
import Postgres

/// Writes what most rows are made of: short strings, ids, whole numbers, prices and flags into columns of their own
/// kind.
///
/// Only the short way: whatever has a rule of its own, or is refused, is left to `FieldEncoder`, which gives the same
/// bytes for all that is written here.
enum PlainFields {
    /// The type bytes of BSON that are plain; as numbers of their own, since a raw value is a call for each.
    enum Kind {
        static var double: UInt8 { 0x01 }
        static var string: UInt8 { 0x02 }
        static var objectID: UInt8 { 0x07 }
        static var bool: UInt8 { 0x08 }
        static var null: UInt8 { 0x0A }
        static var int32: UInt8 { 0x10 }
        static var int64: UInt8 { 0x12 }
    }

    /// The most that a field takes beside the content of a string.
    static let fieldBytesMax = 28

    /// False, with nothing appended, for what is not plain.
    @inline(__always)
    static func append(
        _ value: FoundValue,
        of document: Span<UInt8>,
        as type: FieldType,
        to out: inout RowRoom
    ) -> Bool {
        guard out.left >= fieldBytesMax else { return false }
        let start = Int(value.start)
        switch type {
        case .text(let most):
            if value.kind == Kind.string {
                let content = (start + 4)..<(Int(value.end) - 1)
                guard content.count <= out.left - 4, let characters = characters(document, content),
                    characters <= most ?? .max
                else { return false }
                out.put(Int32(content.count))
                out.put(document, content)
                return true
            }
            guard value.kind == Kind.objectID, most ?? 24 >= 24 else { return false }
            out.put(Int32(24))
            for four in 0..<3 {
                out.put(HexText.digits(UInt32(bitPattern: document.int32(at: start + four * 4))).bigEndian)
            }
        case .numeric(let precision, let scale):
            guard value.kind == Kind.double,
                let number = PGNumeric.short(document.double(at: start), precision: precision, scale: scale)
            else { return false }
            out.put(Int32(8 + number.groupCount * 2))
            out.put(number.head)
            out.put(number.groups, bytes: min(8, number.groupCount * 2))
            if number.groupCount == 5 { out.put(number.fifth) }
        case .int4:
            guard value.kind == Kind.int32 else { return false }
            out.put(UInt64(4) << 32 | UInt64(UInt32(bitPattern: document.int32(at: start))))
        case .int8:
            guard value.kind == Kind.int64 else { return false }
            out.put(Int32(8))
            out.put(document.int64(at: start))
        case .bool:
            guard value.kind == Kind.bool else { return false }
            out.put(Int32(1))
            out.put(document[start] == 0 ? UInt8(0) : 1)
        default: return false
        }
        return true
    }

    /// How many characters a text has; nil for one that PostgreSQL would refuse.
    @inline(__always)
    private static func characters(_ document: Span<UInt8>, _ content: Range<Int>) -> Int? {
        let plain = document.plainPrefix(content)
        if plain == content.count { return plain }
        return try? FieldEncoder.characterCount(document, content)
    }
}

/// Where a value lies, in as few bytes as will do: it is written and read for each value.
struct FoundValue {
    /// The type byte of BSON; 0, which is none, for a field that the document does not have.
    let kind: UInt8
    let start: Int32
    let end: Int32

    static let none = FoundValue(kind: 0, start: 0, end: 0)

    @inline(__always)
    init(kind: UInt8, start: Int32, end: Int32) {
        self.kind = kind
        self.start = start
        self.end = end
    }

    /// A document is shorter than 2 GiB: its own length is an int32.
    init(_ element: BSONElement?) {
        guard let element else {
            self = .none
            return
        }
        kind = element.type.rawValue
        start = Int32(truncatingIfNeeded: element.value.lowerBound)
        end = Int32(truncatingIfNeeded: element.value.upperBound)
    }

    /// Without its name.
    var element: BSONElement? {
        guard let type = BSONType(rawValue: kind) else { return nil }
        return BSONElement(type: type, name: 0..<0, value: Int(start)..<Int(end))
    }
}
