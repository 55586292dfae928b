import Mongo
import Postgres
import Runtime

/// Turns BSON documents into row images by the plan: one walk over the document, no dictionary.
///
/// Not thread-safe by itself: whoever owns it uses it from one thread at a time.
struct RowEncoder {
    let plan: ColumnPlan
    /// Where each column's value was found in the document at hand; kept to spare an allocation per document.
    private var found: [BSONElement?]
    private let fieldCount: Int16

    init(plan: ColumnPlan) {
        self.plan = plan
        found = Array(repeating: nil, count: plan.columns.count)
        fieldCount = Int16(clamping: plan.columns.count)
    }

    /// Appends the document's row image to `out`.
    ///
    /// Throws with the column's index and leaves a partial image behind, which the caller takes back.
    mutating func append(_ document: Span<UInt8>, to out: inout [UInt8]) throws(FieldRejection) {
        try locate(document)
        out.appendBigEndian(fieldCount)
        try appendKey(document, to: &out)
        for index in 1..<max(1, plan.columns.count) {
            do {
                try appendColumn(index, document, to: &out)
            } catch {
                throw FieldRejection(error.reason, column: index)
            }
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
        for index in found.indices { found[index] = nil }
        do {
            try BSONWalk.elements(of: document) { element in
                for index in plan.columns.indices {
                    let path = plan.columns[index].path
                    guard let first = path.first, document.equals(element.name, first) else { continue }
                    found[index] = path.count == 1 ? element : try Self.descend(element, document, path, 1)
                }
                return true
            }
        } catch {
            throw FieldRejection(.malformed)
        }
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
        guard let element = found[0], element.type != .null, element.type != .undefined else {
            throw FieldRejection(.keyType)
        }
        do {
            try FieldEncoder.append(element, of: document, as: plan.columns[0].type, to: &out)
        } catch {
            throw FieldRejection(error.reason == .wrongType ? .keyType : error.reason)
        }
    }

    private func appendColumn(
        _ index: Int,
        _ document: Span<UInt8>,
        to out: inout [UInt8]
    ) throws(FieldRejection) {
        let column = plan.columns[index]
        if index == plan.markColumn {
            appendUnmarked(column, to: &out)
            return
        }
        guard let element = found[index] else {
            try appendMissing(column, to: &out)
            return
        }
        if column.notNull, element.type == .null || element.type == .undefined { throw FieldRejection(.notNull) }
        try FieldEncoder.append(element, of: document, as: column.type, to: &out)
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
