import Mongo
import Postgres
import Runtime

/// Turns BSON documents into row images by the plan: one walk over the document, no dictionary.
///
/// Not thread-safe by itself: whoever owns it uses it from one thread at a time.
struct RowEncoder: ~Copyable {
    let plan: ColumnPlan
    // What the hot loop asks of the plan, each in an array of its own: taking a whole column out of the plan counts
    // references of its name and path up and down.
    private let types: [FieldType]
    private let names: FieldNames
    /// Where each column's value was found in the document at hand; kept to spare an allocation per document.
    private var found: [FoundValue]
    /// The column that each field of the last document belonged to, -1 for none: the next one is mostly alike.
    private var guesses: [Int] = []
    private let fieldCount: Int16
    private var room = RowRoom()
    /// Where a value that is null or missing is simply NULL.
    private let absentIsNull: [Bool]

    init(plan: ColumnPlan) {
        self.plan = plan
        types = plan.columns.map(\.type)
        names = FieldNames(plan.columns.map(\.path))
        found = Array(repeating: .none, count: plan.columns.count)
        fieldCount = Int16(clamping: plan.columns.count)
        absentIsNull = plan.columns.enumerated().map { index, column in
            if case .null = column.missing { index > 0 && index != plan.markColumn && !column.notNull } else { false }
        }
    }

    /// Appends the document's row image to `out`.
    ///
    /// Throws with the column's index and leaves a partial image behind, which the caller takes back.
    mutating func append(_ document: Span<UInt8>, to out: inout [UInt8]) throws(FieldRejection) {
        try locate(document)
        room.clear()
        room.put(fieldCount)
        var column = appendPlain(from: 0, document)
        out.append(room)
        while column < types.count {
            try appendSpecial(column, document, to: &out)
            room.clear()
            column = appendPlain(from: column + 1, document)
            out.append(room)
        }
    }

    /// Puts the columns from `first` on into the room as long as they are plain; the first that is not.
    @inline(__always)
    private mutating func appendPlain(from first: Int, _ document: Span<UInt8>) -> Int {
        for index in first..<types.count {
            let value = found[index]
            if value.kind == 0 || value.kind == PlainFields.Kind.null {
                guard absentIsNull[index], room.left >= PlainFields.fieldBytesMax else { return index }
                room.put(Int32(-1))
            } else {
                guard PlainFields.append(value, of: document, as: types[index], to: &room) else { return index }
            }
        }
        return types.count
    }

    private func appendSpecial(
        _ column: Int,
        _ document: Span<UInt8>,
        to out: inout [UInt8]
    ) throws(FieldRejection) {
        guard column > 0 else { return try appendKey(document, to: &out) }
        do {
            if let element = found[column].element, !element.isNull {
                try FieldEncoder.append(element, of: document, as: types[column], to: &out)
            } else {
                try appendAbsent(column, to: &out)
            }
        } catch {
            throw FieldRejection(error.reason, column: column)
        }
    }

    /// Appends an image that holds only the key, for a document whose other values were refused.
    mutating func appendKeyOnly(_ document: Span<UInt8>, to out: inout [UInt8]) throws(FieldRejection) {
        try locate(document)
        out.appendBigEndian(Int16(1))
        try appendKey(document, to: &out)
    }

    /// The `_id` of a document; nil when it has none.
    static func identifier(of document: Span<UInt8>) -> BSONElement? {
        var result: BSONElement?
        try? BSONWalk.elements(of: document) { element in
            guard document.equals(element.name, Self.identifierName) else { return true }
            result = element
            return false
        }
        return result
    }

    private static let identifierName: [UInt8] = Array("_id".utf8)

    private mutating func locate(_ document: Span<UInt8>) throws(FieldRejection) {
        clearFound()
        if locateAlike(document) { return }
        clearFound()
        var ordinal = 0
        do {
            try BSONWalk.elements(of: document) { element in
                defer { ordinal += 1 }
                if names.areDistinct, ordinal < guesses.count {
                    let guess = guesses[ordinal]
                    if guess >= 0, names.matches(guess, document, element.name) {
                        try note(element, at: guess, document)
                        return true
                    }
                }
                try search(element, ordinal, document)
                return true
            }
        } catch {
            throw FieldRejection(.malformed)
        }
    }

    private mutating func clearFound() {
        var found = found.mutableSpan
        for index in found.indices { found[index] = .none }
    }

    /// The common case: the fields that the last document had, in its order, of plain types, none of them nested.
    ///
    /// False for every other document, whatever is wrong with it: that takes the long way.
    private mutating func locateAlike(_ document: Span<UInt8>) -> Bool {
        let end = document.count - 1
        guard names.areDistinctAndFlat, end >= 4, Int(document.int32(at: 0)) == document.count, document[end] == 0
        else {
            return false
        }
        // Lent to itself: a span of `found` would lock the rest of the encoder with it.
        var all: [FoundValue] = []
        swap(&all, &found)
        defer { swap(&all, &found) }
        var found = all.mutableSpan
        var at = 4
        var ordinal = 0
        while at < end {
            guard ordinal < guesses.count, guesses[ordinal] >= 0,
                let start = names.valueStart(guesses[ordinal], document, at + 1, end),
                let length = BSONWalk.plainLength(document[at], document, start, end)
            else { return false }
            found[guesses[ordinal]] = FoundValue(
                kind: document[at],
                start: Int32(truncatingIfNeeded: start),
                end: Int32(truncatingIfNeeded: start + length)
            )
            at = start + length
            ordinal += 1
        }
        return true
    }

    private mutating func search(_ element: BSONElement, _ ordinal: Int, _ document: Span<UInt8>) throws {
        var match = -1
        for index in found.indices where names.matches(index, document, element.name) {
            try note(element, at: index, document)
            match = index
        }
        if ordinal < guesses.count {
            guesses[ordinal] = match
        } else if ordinal == guesses.count, ordinal < Self.guessesMax {
            guesses.append(match)
        }
    }

    private static let guessesMax = 64

    @inline(__always)
    private mutating func note(_ element: BSONElement, at index: Int, _ document: Span<UInt8>) throws {
        guard names.areNested[index] else {
            found[index] = FoundValue(element)
            return
        }
        found[index] = FoundValue(try Self.descend(element, document, plan.columns[index].path, 1))
    }

    private static func descend(
        _ element: BSONElement,
        _ document: Span<UInt8>,
        _ path: [[UInt8]],
        _ depth: Int
    ) throws -> BSONElement? {
        guard element.type == .document else { return nil }
        var result: BSONElement?
        try BSONWalk.elements(of: document, in: element.value) { inner in
            guard document.equals(inner.name, path[depth]) else { return true }
            result = depth + 1 == path.count ? inner : try descend(inner, document, path, depth + 1)
            return false
        }
        return result
    }

    private func appendKey(_ document: Span<UInt8>, to out: inout [UInt8]) throws(FieldRejection) {
        guard let element = found[0].element, !element.isNull else {
            throw FieldRejection(.keyType)
        }
        let start = out.count
        do {
            try FieldEncoder.append(element, of: document, as: types[0], to: &out)
        } catch {
            throw FieldRejection(error.reason == .wrongType ? .keyType : error.reason)
        }
        guard isFoundAgain(element, document, key: out[(start + 4)...]) else { throw FieldRejection(.keyType) }
    }

    /// Whether a lookup of the key asks for this `_id`. A uuid and a padded text take strings that are not written as
    /// they would write them.
    private func isFoundAgain(_ element: BSONElement, _ document: Span<UInt8>, key: ArraySlice<UInt8>) -> Bool {
        guard element.type == .string || element.type == .symbol else { return true }
        switch types[0] {
        case .uuid, .padded:
            var candidates: [IDValue] = []
            plan.key.appendCandidates(key, to: &candidates)
            let text = String(decoding: Array(document, BSONString.content(element)), as: UTF8.self)
            return candidates.contains(.string(text))
        default: return true
        }
    }

    /// A column whose value is null, missing, or no field's at all.
    private func appendAbsent(_ index: Int, to out: inout [UInt8]) throws(FieldRejection) {
        let column = plan.columns[index]
        if index == plan.markColumn {
            appendUnmarked(column, to: &out)
        } else if found[index].element == nil {
            try appendMissing(column, to: &out)
        } else if column.notNull {
            throw FieldRejection(.notNull)
        } else {
            out.appendBigEndian(Int32(-1))
        }
    }

    private func appendMissing(_ column: ColumnPlan.Column, to out: inout [UInt8]) throws(FieldRejection) {
        switch column.missing {
        case .null:
            if column.notNull { throw FieldRejection(.notNull) }
            out.appendBigEndian(Int32(-1))
        case .reject: throw FieldRejection(.missing)
        case .literal(let literal):
            let document = literal.document
            guard let element = Self.first(of: document.span) else { throw FieldRejection(.malformed) }
            try FieldEncoder.append(element, of: document.span, as: column.type, to: &out)
        }
    }

    private static func first(of document: Span<UInt8>) -> BSONElement? {
        var result: BSONElement?
        try? BSONWalk.elements(of: document) { element in
            result = element
            return false
        }
        return result
    }

    private func appendUnmarked(_ column: ColumnPlan.Column, to out: inout [UInt8]) {
        if column.type == .bool {
            out.appendBigEndian(Int32(1))
            out.append(0)
        } else {
            out.appendBigEndian(Int32(-1))
        }
    }
}

extension SyncMapping.Literal {
    /// The constant as a document of one field, so that it takes the way of any source value.
    fileprivate var document: [UInt8] {
        var builder = BSONBuilder()
        switch self {
        case .string(let value): builder.append("v", string: value)
        case .int(let value): builder.append("v", int64: value)
        case .double(let value): builder.append("v", double: value)
        case .bool(let value): builder.append("v", bool: value)
        }
        return builder.finish().bytes
    }
}

extension Span<UInt8> {
    @inline(__always)
    func equals(_ range: Range<Int>, _ other: [UInt8]) -> Bool {
        guard range.count == other.count else { return false }
        for offset in 0..<other.count where self[range.lowerBound + offset] != other[offset] { return false }
        return true
    }
}

extension BSONElement {
    // By pattern: `==` of a type of another module takes the way over its raw value.
    fileprivate var isNull: Bool {
        switch type {
        case .null, .undefined: true
        default: false
        }
    }
}

/// The outermost field name of each column, one behind the other.
private struct FieldNames {
    /// Up to eight bytes as one number, beside the mask of its length: one comparison instead of one a byte.
    private struct Short {
        let word: UInt64
        let mask: UInt64
        let count: Int
    }
    private var short: [Short] = []
    private var names: [[UInt8]] = []
    /// No two columns come from one field, so a field found is found for all.
    let areDistinct: Bool
    let areNested: [Bool]
    let areDistinctAndFlat: Bool

    init(_ paths: [[[UInt8]]]) {
        areDistinct = Set(paths.map { $0.first ?? [] }).count == paths.count
        areNested = paths.map { $0.count > 1 }
        areDistinctAndFlat = areDistinct && !areNested.contains(true)
        names = paths.map { $0.first ?? [] }
        short = names.map { name in
            let word = name.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return Short(word: word, mask: name.count >= 8 ? .max : 1 << (name.count * 8) - 1, count: name.count)
        }
    }

    /// False for a constant column, which has no name: no field is matched by it.
    @inline(__always)
    func matches(_ index: Int, _ document: Span<UInt8>, _ name: Range<Int>) -> Bool {
        let own = short[index]
        guard own.count == name.count, own.count > 0 else { return false }
        guard own.count <= 8, name.lowerBound + 8 <= document.count else {
            return document.equals(name, names[index])
        }
        return UInt64(bitPattern: document.int64(at: name.lowerBound)) & own.mask == own.word
    }

    /// Where the value begins behind the name at `start`, if that is this column's.
    @inline(__always)
    func valueStart(_ index: Int, _ document: Span<UInt8>, _ start: Int, _ end: Int) -> Int? {
        let nul = start + short[index].count
        guard nul < end, document[nul] == 0, matches(index, document, start..<nul) else { return nil }
        return nul + 1
    }
}
