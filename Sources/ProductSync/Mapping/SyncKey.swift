package import Mongo
package import Postgres

/// How `_id` values become key bytes of the target column, in what order those sort, and back.
package enum SyncKey: Sendable, Equatable {
    /// varchar, text or bpchar. `byteOrder`: the column's collation sorts like memcmp (C, POSIX).
    case text(byteOrder: Bool, charactersMax: Int?, padded: Bool)
    case integer(FieldType)
    case uuid

    /// nil when a column of this type cannot hold an `_id`: citext takes for one key what MongoDB tells apart, and an
    /// enum compares with no text.
    package init?(_ column: PGColumn) {
        guard column.type.name != "citext", column.type.category != "E", let type = FieldType(column) else {
            return nil
        }
        let byteOrder = column.collation?.isByteOrder ?? false
        switch type {
        case .text(let most): self = .text(byteOrder: byteOrder, charactersMax: most, padded: false)
        case .padded(let count): self = .text(byteOrder: byteOrder, charactersMax: count, padded: true)
        case .int2, .int4, .int8: self = .integer(type)
        case .uuid: self = .uuid
        default: return nil
        }
    }

    /// What both sides sort alike, so that two streams in key order can be merged.
    package enum Order: Sendable, Equatable {
        /// Target keys that are not of the domain match no source key and are orphans wherever they sort.
        case bytes(Domain)
        case signedInteger
    }

    /// The keys that a source bracket can produce.
    package enum Domain: Sendable, Equatable {
        case all
        /// 24 lower-case hex digits: alike in every collation.
        case objectIDHex
        /// 8-4-4-4-12 lower-case hex digits.
        case uuidText
    }

    /// The common order of this key column and a source that holds only `bracket`; nil: pages are looked up instead.
    package func order(with bracket: IDBracket) -> Order? {
        switch (self, bracket) {
        case (.text, .objectID): .bytes(.objectIDHex)
        case (.text, .binary): .bytes(.uuidText)
        case (.text(byteOrder: true, _, padded: false), .string): .bytes(.all)
        case (.integer, .number): .signedInteger
        case (.uuid, .binary): .bytes(.all)
        default: nil
        }
    }

    /// The order of the column's own keys, for a source that holds none; nil where it is none of ours.
    package var order: Order? {
        switch self {
        case .text(byteOrder: true, _, padded: false), .uuid: .bytes(.all)
        case .integer: .signedInteger
        case .text: nil
        }
    }

    /// The SQL type for an array of keys, such that comparing with it uses the column's index.
    package var arrayTypeSQL: String {
        switch self {
        case .text(_, _, padded: true): "bpchar[]"
        case .text: "text[]"
        case .integer: "bigint[]"
        case .uuid: "uuid[]"
        }
    }

    /// The key as text, for people and for SQL arrays.
    package func text(_ bytes: some Collection<UInt8>) -> String {
        switch self {
        case .text(_, _, let padded):
            guard padded else { return String(decoding: bytes, as: UTF8.self) }
            // By byte: to a character that joins the next one, the first blank belongs.
            return String(decoding: bytes.reversed().drop { $0 == UInt8(ascii: " ") }.reversed(), as: UTF8.self)
        case .integer: return String(Self.integer(bytes))
        case .uuid: return HexText.uuid(bytes)
        }
    }

    /// Big-endian two's complement of 2, 4 or 8 bytes.
    package static func integer(_ bytes: some Collection<UInt8>) -> Int64 {
        var value: Int64 = (bytes.first ?? 0) & 0x80 == 0 ? 0 : -1
        for byte in bytes { value = value << 8 | Int64(byte) }
        return value
    }

    /// Every `_id` that has this key: the same text may be an ObjectId or a string.
    ///
    /// A string that the column would take for this key, but which is not among them, is refused as a key
    /// (`RowEncoder`): its row would be looked up in vain and seem orphaned.
    package func appendCandidates(_ bytes: some Collection<UInt8>, to array: inout [IDValue]) {
        switch self {
        case .text:
            let text = self.text(bytes)
            array.append(.string(text))
            if let id = HexText.bytes(ofHex: text, count: 12) { array.append(.objectID(id)) }
            if let uuid = HexText.bytes(ofUUID: text) { array.append(.uuid(uuid)) }
            if let number = Int64(text), String(number) == text { array.append(.int64(number)) }
        case .integer: array.append(.int64(Self.integer(bytes)))
        case .uuid:
            array.append(.uuid(Array(bytes)))
            let text = HexText.uuid(bytes)
            array.append(.string(text))
            let upper = text.uppercased()
            if upper != text { array.append(.string(upper)) }
        }
    }
}

/// An `_id` as the sync asks for it.
package enum IDValue: Sendable, Equatable {
    case string(String)
    case objectID([UInt8])
    case uuid([UInt8])
    case int64(Int64)

    var bracket: IDBracket {
        switch self {
        case .string: .string
        case .objectID: .objectID
        case .uuid: .binary
        case .int64: .number
        }
    }
}

/// The brackets of the BSON comparison order in which `_id` may stand.
///
/// `$gt` compares within one bracket only; the order of the cases is MongoDB's ("Comparison/Sort Order" in its manual).
package enum IDBracket: Int, Sendable, CaseIterable, Comparable {
    case minKey, null, number, string, document, binary, objectID, bool, date, timestamp, dbPointer, code, codeWithScope
    case maxKey

    package static func < (left: IDBracket, right: IDBracket) -> Bool { left.rawValue < right.rawValue }

    /// nil for types that MongoDB refuses as `_id`.
    package init?(_ type: BSONType) {
        switch type {
        case .minKey: self = .minKey
        case .null, .undefined: self = .null
        case .double, .int32, .int64, .decimal128: self = .number
        case .string, .symbol: self = .string
        case .document: self = .document
        case .binary: self = .binary
        case .objectID: self = .objectID
        case .bool: self = .bool
        case .date: self = .date
        case .timestamp: self = .timestamp
        case .dbPointer: self = .dbPointer
        case .code: self = .code
        case .codeWithScope: self = .codeWithScope
        case .maxKey: self = .maxKey
        case .array, .regex: return nil
        }
    }
}
