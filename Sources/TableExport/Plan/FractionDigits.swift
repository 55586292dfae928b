import Postgres

/// How many digits behind the point a column keeps, by its type and modifier; arrays keep those of their elements.
struct FractionDigits: Sendable, Equatable {
    enum Kind: Sendable { case number, time }

    let kind: Kind
    let count: Int32
    /// An interval of some fields only, such as `interval day to hour`.
    let isPartial: Bool

    /// nil for types without such digits.
    init?(_ column: PGColumn) {
        self.init(oid: column.type.baseOID ?? column.type.oid, typmod: column.typmod)
    }

    init?(oid: UInt32, typmod: Int32) {
        var partial = false
        switch oid {
        case 20, 21, 23, 1005, 1007, 1016:
            kind = .number
            count = 0
        case 1700, 1231:
            kind = .number
            // Eleven bits with a sign: a scale may be negative.
            count = typmod < 4 ? 16_383 : (((typmod - 4) & 0x7FF) ^ 1_024) - 1_024
        case 1082, 1182:
            kind = .time
            count = 0
        case 1083, 1114, 1184, 1266, 1115, 1183, 1185, 1270:
            kind = .time
            count = typmod < 0 ? 6 : typmod
        case 1186, 1187:
            kind = .time
            count = typmod < 0 || typmod & 0xFFFF == 0xFFFF ? 6 : typmod & 0xFFFF
            partial = typmod >= 0 && typmod >> 16 & 0x7FFF != 0x7FFF
        default: return nil
        }
        isPartial = partial
    }

    /// What keeps every digit.
    static func typeWithoutModifier(_ type: PGType) -> String {
        let names: [UInt32: String] = [
            1700: "numeric", 1083: "time", 1114: "timestamp", 1184: "timestamptz", 1266: "timetz", 1186: "interval",
            1231: "numeric[]", 1183: "time[]", 1115: "timestamp[]", 1185: "timestamptz[]", 1270: "timetz[]",
            1187: "interval[]",
        ]
        return names[type.baseOID ?? type.oid] ?? type.name
    }
}
