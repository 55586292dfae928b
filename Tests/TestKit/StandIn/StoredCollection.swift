/// Documents as raw BSON in the order of `_id`, found by binary search. Used under the stand-in's lock only.
final class StoredCollection {
    /// A document and where its `_id` stands in it.
    struct Entry {
        let start: UnsafePointer<UInt8>
        let count: Int32
        let idOffset: UInt16
        let idCount: UInt16
        let idType: UInt8

        var document: RawDocument { RawDocument(start: start, count: Int(count)) }
        var id: RawValue { RawValue(type: idType, start: start + Int(idOffset), count: Int(idCount)) }
    }

    private let arena = Arena()
    private(set) var entries: [Entry] = []
    private(set) var bytes = 0

    /// Adds a document. Throws `DuplicateKey`'s code when its `_id` is there, also as another type of number.
    func insert(_ document: [UInt8]) throws {
        guard let kept = arena.keep(document: document) else {
            throw CommandFailure(22, "InvalidBSON", "a document's lengths do not fit")
        }
        try insert(kept)
    }

    private func insert(_ document: RawDocument) throws {
        let entry = try Self.entry(document)
        var place = entries.count
        if let last = entries.last, BSONOrder.compare(last.id, entry.id) >= 0 {
            place = lowerBound(entry.id)
            if place < entries.count, BSONOrder.compare(entries[place].id, entry.id) == 0 {
                throw CommandFailure(11_000, "DuplicateKey", "E11000 duplicate key error index: _id_")
            }
        }
        entries.insert(entry, at: place)
        bytes += document.count
    }

    private static func entry(_ document: RawDocument) throws -> Entry {
        guard let id = document["_id"] else { throw CommandFailure(2, "BadValue", "the document has no _id") }
        guard id.type != 0x04, id.type != 0x0B, id.type != 0x06 else {
            throw CommandFailure(2, "BadValue", "The '_id' value cannot be of this type")
        }
        let offset = id.start - document.start
        guard offset <= UInt16.max, id.count <= UInt16.max else {
            throw CommandFailure(2, "BadValue", "an _id that long, or that far behind, is not known here")
        }
        return Entry(
            start: document.start,
            count: Int32(truncatingIfNeeded: document.count),
            idOffset: UInt16(offset),
            idCount: UInt16(id.count),
            idType: id.type
        )
    }

    /// Takes another version of a document with the same `_id`; the old bytes stay in memory.
    func replace(at index: Int, with document: [UInt8]) throws {
        guard let kept = arena.keep(document: document) else {
            throw CommandFailure(22, "InvalidBSON", "a document's lengths do not fit")
        }
        let entry = try Self.entry(kept)
        guard BSONOrder.compare(entry.id, entries[index].id) == 0 else {
            throw CommandFailure(66, "ImmutableField", "the (immutable) field '_id' was found to have been altered")
        }
        bytes += Int(entry.count) - Int(entries[index].count)
        entries[index] = entry
    }

    /// Removes the entries at these ascending positions.
    func remove(at indices: [Int]) {
        guard let first = indices.first else { return }
        if indices.count == 1 {
            bytes -= Int(entries.remove(at: first).count)
            return
        }
        let gone = Set(indices)
        bytes -= indices.reduce(0) { $0 + Int(entries[$1].count) }
        entries = entries.enumerated().filter { !gone.contains($0.offset) }.map(\.element)
    }

    /// The first position whose `_id` is not below the key.
    func lowerBound(_ key: RawValue) -> Int { partition { BSONOrder.compare($0, key) >= 0 } }

    /// The first position whose `_id` is above the key.
    func upperBound(_ key: RawValue) -> Int { partition { BSONOrder.compare($0, key) > 0 } }

    private func bracketRange(_ bracket: Int) -> Range<Int> {
        let low = partition { BSONOrder.bracket($0.type) >= bracket }
        let high = partition { BSONOrder.bracket($0.type) > bracket }
        return low..<high
    }

    private func partition(_ isBehind: (RawValue) -> Bool) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if isBehind(entries[middle].id) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

extension StoredCollection {
    /// Where a filter's documents can be, in ascending order, and whether each must still be looked at.
    struct Plan {
        var ranges: [Range<Int>]
        var isExact: Bool

        var width: Int { ranges.reduce(0) { $0 + $1.count } }
    }

    func plan(_ filter: Filter) -> Plan {
        let whole = 0..<entries.count
        switch filter {
        case .all(let parts):
            return parts.reduce(Plan(ranges: [whole], isExact: true)) { plan, part in
                let other = self.plan(part)
                return Plan(
                    ranges: Self.intersection(plan.ranges, other.ranges),
                    isExact: plan.isExact && other.isExact
                )
            }
        case .field(let path, let predicate) where path == .id: return plan(predicate)
        case .any, .none, .field: return Plan(ranges: [whole], isExact: false)
        }
    }

    private func plan(_ predicate: Filter.Predicate) -> Plan {
        switch predicate {
        case .equal(let value): return Plan(ranges: [positions(value)], isExact: true)
        case .among(let values):
            return Plan(ranges: values.map { positions($0) }.filter { !$0.isEmpty }, isExact: true)
        case .less(let bound, _), .greater(let bound, _):
            if bound.type == 0xFF || bound.type == 0x7F { break }
            return bound.lend { bound in
                let bracket = bracketRange(BSONOrder.bracket(bound.type))
                var range = bracket
                if case .less(_, let orEqual) = predicate {
                    let end = orEqual ? upperBound(bound) : lowerBound(bound)
                    range = bracket.lowerBound..<max(bracket.lowerBound, min(bracket.upperBound, end))
                } else if case .greater(_, let orEqual) = predicate {
                    let begin = orEqual ? lowerBound(bound) : upperBound(bound)
                    range = min(bracket.upperBound, max(bracket.lowerBound, begin))..<bracket.upperBound
                }
                // NaN stands below all numbers and is related to none of them.
                return Plan(ranges: [range], isExact: BSONOrder.bracket(bound.type) != 10)
            }
        case .type(let types):
            let brackets = Set(types.map(BSONOrder.bracket)).sorted()
            return Plan(ranges: brackets.map { bracketRange($0) }, isExact: false)
        case .exists, .not: break
        }
        return Plan(ranges: [0..<entries.count], isExact: false)
    }

    private func positions(_ value: OwnedValue) -> Range<Int> {
        value.lend { lowerBound($0)..<upperBound($0) }
    }

    private static func intersection(_ left: [Range<Int>], _ right: [Range<Int>]) -> [Range<Int>] {
        left.flatMap { range in right.map { range.clamped(to: $0) }.filter { !$0.isEmpty } }
            .sorted { $0.lowerBound < $1.lowerBound }
    }

    /// Hands over what matches, in the order of `_id` or against it, from behind `key` on, until `body` says false.
    func scan(_ filter: Filter, descending: Bool = false, after key: OwnedValue? = nil, _ body: (Int) -> Bool) {
        let plan = plan(filter)
        let limits: Range<Int>
        if let key {
            limits = key.lend { descending ? 0..<lowerBound($0) : upperBound($0)..<entries.count }
        } else {
            limits = 0..<entries.count
        }
        for range in descending ? plan.ranges.reversed() : plan.ranges {
            let range = range.clamped(to: limits)
            var index = descending ? range.upperBound - 1 : range.lowerBound
            while range.contains(index) {
                if plan.isExact || filter.matches(entries[index].document) {
                    guard body(index) else { return }
                }
                index += descending ? -1 : 1
            }
        }
    }

    func matches(_ filter: Filter) -> [Int] {
        var found: [Int] = []
        scan(filter) { index in
            found.append(index)
            return true
        }
        return found
    }

    /// How many match; costs no look at the documents where `_id` alone decides.
    func count(_ filter: Filter) -> Int {
        let plan = plan(filter)
        if plan.isExact { return plan.width }
        var count = 0
        scan(filter) { _ in
            count += 1
            return true
        }
        return count
    }
}

/// An order by fields; `_id` alone is the order in which documents are kept.
struct SortOrder: Sendable {
    let keys: [(path: FieldPath, descending: Bool)]

    init(_ document: RawDocument?) throws {
        keys = try (document.map(Array.init) ?? []).compactMap { element in
            guard let direction = element.value.integer, direction == 1 || direction == -1 else {
                throw CommandFailure(15_975, "Location15975", "$sort key ordering must be 1 or -1")
            }
            return element.name == "$natural" ? nil : (FieldPath(element.name), direction < 0)
        }
    }

    /// Whether documents come against the order they are kept in; nil when they must be sorted.
    var reversesIDs: Bool? {
        guard let first = keys.first else { return false }
        return first.path == .id ? first.descending : nil
    }

    func sort(_ documents: inout [RawDocument]) {
        guard !keys.isEmpty else { return }
        let indexed = documents.enumerated().sorted { left, right in
            for key in keys {
                let order = Self.compare(key.path.value(in: left.element), key.path.value(in: right.element))
                if order != 0 { return (order < 0) != key.descending }
            }
            return left.offset < right.offset
        }
        documents = indexed.map(\.element)
    }

    /// A missing field sorts like null.
    private static func compare(_ left: RawValue?, _ right: RawValue?) -> Int {
        let null = OwnedValue(type: 0x0A, bytes: [])
        return null.lend { BSONOrder.compare(left ?? $0, right ?? $0) }
    }
}
