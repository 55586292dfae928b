/// A query, read once; its values are its own.
indirect enum Filter: Sendable {
    case all([Filter])
    case any([Filter])
    case none([Filter])
    case field(FieldPath, Predicate)

    /// A predicate on the values at one path.
    enum Predicate: Sendable {
        case equal(OwnedValue)
        case less(OwnedValue, orEqual: Bool)
        case greater(OwnedValue, orEqual: Bool)
        case among([OwnedValue])
        case type(Set<UInt8>)
        case exists(Bool)
        case not([Predicate])
    }

    init(_ query: RawDocument) throws {
        var parts: [Filter] = []
        for element in query {
            switch element.name {
            case "$and": parts.append(.all(try Self.list(element.value)))
            case "$or": parts.append(.any(try Self.list(element.value)))
            case "$nor": parts.append(.none(try Self.list(element.value)))
            case "$comment": break
            case let name where name.hasPrefix("$"):
                throw CommandFailure(2, "BadValue", "unknown top level operator: \(name)")
            case let name:
                let path = FieldPath(name)
                for predicate in try Self.predicates(element.value) { parts.append(.field(path, predicate)) }
            }
        }
        if parts.count == 1, let only = parts.first {
            self = only
        } else {
            self = .all(parts)
        }
    }

    static let everything = Filter.all([])

    private static func list(_ value: RawValue) throws -> [Filter] {
        guard value.isArray, let items = value.document else {
            throw CommandFailure(2, "BadValue", "$and/$or/$nor must be an array")
        }
        return try items.map { item in
            guard item.value.type == 0x03, let document = item.value.document else {
                throw CommandFailure(2, "BadValue", "$or/$and/$nor entries need to be full objects")
            }
            return try Filter(document)
        }
    }

    private static func predicates(_ value: RawValue) throws -> [Predicate] {
        guard value.type == 0x03, let document = value.document,
            let first = document.makeIterator().nextOnce(), first.nameBytes.first == UInt8(ascii: "$"),
            first.name != "$ref", first.name != "$id"
        else { return [.equal(value.owned)] }
        return try document.map { try predicate($0.name, $0.value) }
    }

    private static func predicate(_ name: String, _ value: RawValue) throws -> Predicate {
        switch name {
        case "$eq": return .equal(value.owned)
        case "$ne": return .not([.equal(value.owned)])
        case "$gt": return .greater(value.owned, orEqual: false)
        case "$gte": return .greater(value.owned, orEqual: true)
        case "$lt": return .less(value.owned, orEqual: false)
        case "$lte": return .less(value.owned, orEqual: true)
        case "$in": return .among(try values(value, "$in"))
        case "$nin": return .not([.among(try values(value, "$nin"))])
        case "$type": return .type(try types(value))
        case "$exists": return .exists(value.isTrue)
        case "$not": return .not(try predicates(value))
        default: throw CommandFailure(2, "BadValue", "unknown operator: \(name)")
        }
    }

    private static func values(_ value: RawValue, _ name: String) throws -> [OwnedValue] {
        guard value.isArray, let items = value.document else {
            throw CommandFailure(2, "BadValue", "\(name) needs an array")
        }
        return items.map(\.value.owned).sorted { left, right in
            left.lend { left in right.lend { BSONOrder.compare(left, $0) < 0 } }
        }
    }

    private static func types(_ value: RawValue) throws -> Set<UInt8> {
        if value.isArray, let items = value.document {
            return try items.reduce(into: []) { $0.formUnion(try types($1.value)) }
        }
        if let name = value.string {
            if name == "number" { return [0x01, 0x10, 0x12, 0x13] }
            guard let code = typeNames[name] else {
                throw CommandFailure(2, "BadValue", "Unknown type name alias: \(name)")
            }
            return [code]
        }
        guard let code = value.integer, code == -1 || code == 127 || (1...19).contains(code) else {
            throw CommandFailure(2, "BadValue", "Invalid numerical type code")
        }
        return [UInt8(truncatingIfNeeded: code)]
    }

    static let typeNames: [String: UInt8] = [
        "double": 1, "string": 2, "object": 3, "array": 4, "binData": 5, "undefined": 6, "objectId": 7, "bool": 8,
        "date": 9, "null": 10, "regex": 11, "dbPointer": 12, "javascript": 13, "symbol": 14, "javascriptWithScope": 15,
        "int": 16, "timestamp": 17, "long": 18, "decimal": 19, "minKey": 0xFF, "maxKey": 0x7F,
    ]
}

extension RawDocument.Iterator {
    /// The first element, without keeping the iterator.
    func nextOnce() -> RawElement? {
        var copy = self
        return copy.next()
    }
}

/// A dotted path.
struct FieldPath: Sendable, Hashable {
    let parts: [[UInt8]]

    init(_ text: String) {
        parts = text.split(separator: ".", omittingEmptySubsequences: false).map { Array($0.utf8) }
    }

    static let id = FieldPath("_id")

    /// Hands over every value at the path, going into the documents of arrays; true as soon as `body` says so.
    /// An array at the end is one value. A path that leads nowhere gives nil, once for each branch.
    func contains(in document: RawDocument, from depth: Int = 0, _ body: (RawValue?) -> Bool) -> Bool {
        guard let value = document[parts[depth]] else { return body(nil) }
        guard depth + 1 < parts.count else { return body(value) }
        guard let inner = value.document else { return body(nil) }
        guard value.isArray else { return contains(in: inner, from: depth + 1, body) }
        if inner[parts[depth + 1]] != nil, contains(in: inner, from: depth + 1, body) { return true }
        for element in inner where element.value.type == 0x03 {
            guard let document = element.value.document else { continue }
            if contains(in: document, from: depth + 1, body) { return true }
        }
        return false
    }

    /// The one value at the path, where no array stands in the way.
    func value(in document: RawDocument) -> RawValue? {
        var document = document
        for part in parts.dropLast() {
            guard let value = document[part], !value.isArray, let inner = value.document else { return nil }
            document = inner
        }
        return parts.last.flatMap { document[$0] }
    }
}

extension Filter {
    func matches(_ document: RawDocument) -> Bool {
        switch self {
        case .all(let parts): parts.allSatisfy { $0.matches(document) }
        case .any(let parts): parts.contains { $0.matches(document) }
        case .none(let parts): !parts.contains { $0.matches(document) }
        case .field(let path, let predicate): predicate.matches(path, document)
        }
    }
}

extension Filter.Predicate {
    func matches(_ path: FieldPath, _ document: RawDocument) -> Bool {
        switch self {
        case .not(let parts): return !parts.allSatisfy { $0.matches(path, document) }
        case .exists(let wanted): return path.contains(in: document) { $0 != nil } == wanted
        default:
            return path.contains(in: document) { value in
                guard let value else { return acceptsMissing }
                if accepts(value) { return true }
                guard value.isArray, let items = value.document else { return false }
                return items.contains { accepts($0.value) }
            }
        }
    }

    /// Null stands for a missing field too.
    private var acceptsMissing: Bool {
        switch self {
        case .equal(let value), .less(let value, orEqual: true), .greater(let value, orEqual: true):
            value.type == 0x0A
        case .among(let values): values.contains { $0.type == 0x0A }
        default: false
        }
    }

    func accepts(_ value: RawValue) -> Bool {
        switch self {
        case .equal(let wanted): wanted.lend { BSONOrder.compare(value, $0) == 0 }
        case .less(let bound, let orEqual):
            bound.lend { Self.compare(value, $0, orEqual) { $0 < 0 } }
        case .greater(let bound, let orEqual):
            bound.lend { Self.compare(value, $0, orEqual) { $0 > 0 } }
        case .among(let wanted): Self.contains(wanted, value)
        case .type(let types): types.contains(value.type)
        case .exists(let wanted): wanted
        case .not(let parts): !parts.allSatisfy { $0.accepts(value) }
        }
    }

    /// Within one bracket only; MinKey and MaxKey compare with all. NaN is equal to itself and to nothing else related.
    private static func compare(_ value: RawValue, _ bound: RawValue, _ orEqual: Bool, _ side: (Int) -> Bool) -> Bool {
        let bracket = BSONOrder.bracket(bound.type)
        let ends = bound.type == 0xFF || bound.type == 0x7F
        guard ends || BSONOrder.bracket(value.type) == bracket else { return false }
        if bracket == 10 {
            let numbers = (BSONNumber(value).isNaN, BSONNumber(bound).isNaN)
            if numbers.0 || numbers.1 { return orEqual && numbers.0 && numbers.1 }
        }
        let order = BSONOrder.compare(value, bound)
        return order == 0 ? orEqual : side(order)
    }

    private static func contains(_ sorted: [OwnedValue], _ value: RawValue) -> Bool {
        var low = 0
        var high = sorted.count
        while low < high {
            let middle = (low + high) / 2
            let order = sorted[middle].lend { BSONOrder.compare($0, value) }
            if order == 0 { return true }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return false
    }
}

/// What the server answers with `ok: 0`.
struct CommandFailure: Error {
    let code: Int32
    let name: String
    let message: String
    var labels: [String] = []

    init(_ code: Int32, _ name: String, _ message: String, labels: [String] = []) {
        self.code = code
        self.name = name
        self.message = message
        self.labels = labels
    }
}
