/// The types a cursor may have.
enum CursorType: Sendable, Equatable {
    case timestamp, timestamptz, date, int2, int4, int8

    init?(oid: UInt32) {
        switch oid {
        case 1114: self = .timestamp
        case 1184: self = .timestamptz
        case 1082: self = .date
        case 21: self = .int2
        case 23: self = .int4
        case 20: self = .int8
        default: return nil
        }
    }

    var isTime: Bool { [.timestamp, .timestamptz, .date].contains(self) }

    var sql: String {
        switch self {
        case .timestamp: "timestamp"
        case .timestamptz: "timestamptz"
        case .date: "date"
        case .int2: "int2"
        case .int4: "int4"
        case .int8: "int8"
        }
    }
}
