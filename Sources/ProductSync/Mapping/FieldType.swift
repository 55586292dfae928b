package import Postgres
import Runtime

/// A target column's type as the encoder and the comparison need it, resolved once per run from the catalog.
package enum FieldType: Sendable, Equatable {
    case bool
    case int2
    case int4
    case int8
    case float4
    case float8
    /// `precision` nil: unbounded. Values are rounded to `scale` as PostgreSQL does on assignment.
    case numeric(precision: Int?, scale: Int)
    /// `charactersMax` nil: unbounded. Also enums and citext, whose binary form is their text.
    case text(charactersMax: Int?)
    /// `character(n)`: padded with blanks to n.
    case padded(characters: Int)
    case timestamp(precision: Int, zoned: Bool)
    case date
    case uuid
    case bytea
    case json
    case jsonb
    // Only this one is boxed: the others are copied in the hot loop without counting references.
    indirect case array(element: FieldType, elementOID: UInt32)

    /// Whether images of the type are ordered as PostgreSQL orders its values, so that one can be newer.
    var hasOrder: Bool {
        switch self {
        case .json, .jsonb, .array: false
        default: true
        }
    }

    /// The type of a catalog column; nil when the sync cannot fill such a column.
    package init?(_ column: PGColumn) {
        if column.type.category == "E" || column.type.name == "citext" {
            self = .text(charactersMax: nil)
            return
        }
        let oid = column.type.baseOID ?? column.type.oid
        if let elementOID = column.type.elementOID, column.type.category == "A" {
            guard let element = FieldType(oid: elementOID, typmod: column.typmod) else { return nil }
            self = .array(element: element, elementOID: elementOID)
            return
        }
        self.init(oid: oid, typmod: column.typmod)
    }

    /// Built-in types by their OID (`pg_type.dat`), which PostgreSQL keeps stable.
    private init?(oid: UInt32, typmod: Int32) {
        let modifier = Int(typmod)
        switch oid {
        case 16: self = .bool
        case 17: self = .bytea
        case 20: self = .int8
        case 21: self = .int2
        case 23: self = .int4
        case 25: self = .text(charactersMax: nil)
        case 114: self = .json
        case 700: self = .float4
        case 701: self = .float8
        case 1042: self = modifier > 4 ? .padded(characters: modifier - 4) : .text(charactersMax: nil)
        case 1043: self = .text(charactersMax: modifier > 4 ? modifier - 4 : nil)
        case 1082: self = .date
        case 1114: self = .timestamp(precision: modifier >= 0 ? modifier : 6, zoned: false)
        case 1184: self = .timestamp(precision: modifier >= 0 ? modifier : 6, zoned: true)
        case 1700: self = Self.numeric(modifier: modifier)
        case 2950: self = .uuid
        case 3802: self = .jsonb
        default: return nil
        }
    }

    /// Precision in the upper half, an 11 bit signed scale below, both after `VARHDRSZ` (`numeric.c`).
    private static func numeric(modifier: Int) -> FieldType {
        guard modifier >= 4 else { return .numeric(precision: nil, scale: 0) }
        let packed = modifier - 4
        let scale = ((packed & 0x7ff) ^ 1024) - 1024
        return .numeric(precision: (packed >> 16) & 0xffff, scale: scale)
    }
}
