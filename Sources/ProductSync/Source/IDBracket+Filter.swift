import Mongo

extension IDBracket {
    /// Where the reading of a bracket begins.
    struct Start {
        /// Appends the bracket's lowest value under a name.
        let appendLowest: (inout BSONBuilder, String) -> Void
        /// The filter asks for one value; no page follows.
        let isSingleValue: Bool

        var filter: BSONDocument {
            guard isSingleValue else { return IDBracket.filter { appendLowest(&$0, "$gte") } }
            var filter = BSONBuilder()
            appendLowest(&filter, "_id")
            return filter.finish()
        }
    }

    /// NaN sorts before all numbers but compares greater or equal to none, so it is asked for alone.
    var starts: [Start] {
        switch self {
        case .minKey: [single { $0.appendMinKey($1) }]
        case .null: [single { $0.appendNull($1) }]
        case .number:
            [single { $0.append($1, double: .nan) }, from { $0.append($1, double: -.infinity) }]
        case .string: [from { $0.append($1, string: "") }]
        case .document: [from { $0.append($1, document: BSONBuilder().finish()) }]
        case .binary: [from { $0.append($1, binary: [], subtype: 0) }]
        case .objectID: [from { $0.append($1, objectID: [UInt8](repeating: 0, count: 12)) }]
        case .bool: [from { $0.append($1, bool: false) }]
        case .date: [from { $0.append($1, date: .min) }]
        case .timestamp: [from { $0.append($1, raw: .timestamp, [UInt8](repeating: 0, count: 8)) }]
        case .dbPointer: [from { $0.append($1, raw: .dbPointer, Self.emptyText + [UInt8](repeating: 0, count: 12)) }]
        case .code: [from { $0.append($1, raw: .code, Self.emptyText) }]
        case .codeWithScope:
            [
                from {
                    $0.append($1, raw: .codeWithScope, [14, 0, 0, 0] + Self.emptyText + BSONBuilder().finish().bytes)
                }
            ]
        case .maxKey: [single { $0.appendMaxKey($1) }]
        }
    }

    /// BSON's string of no character.
    private static let emptyText: [UInt8] = [1, 0, 0, 0, 0]

    private func single(_ value: @escaping (inout BSONBuilder, String) -> Void) -> Start {
        Start(appendLowest: value, isSingleValue: true)
    }

    private func from(_ value: @escaping (inout BSONBuilder, String) -> Void) -> Start {
        Start(appendLowest: value, isSingleValue: false)
    }

    /// A filter on `_id` with the bounds that `write` appends.
    static func filter(_ write: (inout BSONBuilder) -> Void) -> BSONDocument {
        var bound = BSONBuilder()
        write(&bound)
        var filter = BSONBuilder()
        filter.append("_id", document: bound.finish())
        return filter.finish()
    }

    static func filter(among ids: [IDValue]) -> BSONDocument {
        var list = BSONBuilder()
        for (index, id) in ids.enumerated() {
            switch id {
            case .string(let value): list.append("\(index)", string: value)
            case .objectID(let bytes): list.append("\(index)", objectID: bytes)
            case .uuid(let bytes): list.append("\(index)", binary: bytes, subtype: 4)
            case .int64(let value): list.append("\(index)", int64: value)
            }
        }
        var bound = BSONBuilder()
        bound.append("$in", array: list.finish())
        var filter = BSONBuilder()
        filter.append("_id", document: bound.finish())
        return filter.finish()
    }
}
