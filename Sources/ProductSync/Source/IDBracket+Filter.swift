import Mongo

extension IDBracket {
    /// Where the reading of a bracket begins.
    struct Start {
        let filter: BSONDocument
        /// The filter asks for one value; no page follows.
        let isSingleValue: Bool
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
        case .maxKey: [single { $0.appendMaxKey($1) }]
        }
    }

    private func single(_ value: (inout BSONBuilder, String) -> Void) -> Start {
        var filter = BSONBuilder()
        value(&filter, "_id")
        return Start(filter: filter.finish(), isSingleValue: true)
    }

    private func from(_ value: (inout BSONBuilder, String) -> Void) -> Start {
        var bound = BSONBuilder()
        value(&bound, "$gte")
        var filter = BSONBuilder()
        filter.append("_id", document: bound.finish())
        return Start(filter: filter.finish(), isSingleValue: false)
    }

    static func filter(after last: IDPosition) -> BSONDocument {
        var bound = BSONBuilder()
        bound.append("$gt", raw: last.type, last.bytes)
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
