package import Foundation

/// A value bound to a statement as a binary parameter of the fitting type.
package enum PGValue: Sendable, Equatable {
    case null
    case text(String)
    case int(Int64)
    case bool(Bool)
    case double(Double)
    case uuid(UUID)
    case bytea([UInt8])
    case timestamp(Date)
    case textArray([String])
    case intArray([Int64])
    case byteaArray([[UInt8]])
    case json(String)

    struct Bound {
        let oid: UInt32
        let bytes: [UInt8]?
    }

    var bound: Bound {
        switch self {
        case .null: Bound(oid: 0, bytes: nil)
        case .text(let value): Bound(oid: 25, bytes: Array(value.utf8))
        case .int(let value): Bound(oid: 20, bytes: Self.big(value))
        case .bool(let value): Bound(oid: 16, bytes: [value ? 1 : 0])
        case .double(let value): Bound(oid: 701, bytes: Self.big(value.bitPattern))
        case .uuid(let value): Bound(oid: 2950, bytes: withUnsafeBytes(of: value.uuid) { Array($0) })
        case .bytea(let value): Bound(oid: 17, bytes: value)
        case .timestamp(let value):
            Bound(
                oid: 1184,
                // One beyond what the server knows is refused there: the greatest number but infinity's.
                bytes: Self.big(
                    Int64(exactly: ((value.timeIntervalSince1970 - 946_684_800) * 1_000_000).rounded()) ?? .max - 1
                )
            )
        case .textArray(let values): Bound(oid: 1009, bytes: Self.array(values.map { Array($0.utf8) }, element: 25))
        case .intArray(let values): Bound(oid: 1016, bytes: Self.array(values.map { Self.big($0) }, element: 20))
        case .byteaArray(let values): Bound(oid: 1001, bytes: Self.array(values, element: 17))
        case .json(let value): Bound(oid: 3802, bytes: [1] + Array(value.utf8))
        }
    }

    private static func big(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    /// The form `array_recv` reads: dimensions, flags, element type, then each element behind its length.
    private static func array(_ elements: [[UInt8]], element oid: UInt32) -> [UInt8] {
        guard !elements.isEmpty else { return big(Int32(0)) + big(Int32(0)) + big(oid) }
        var out = big(Int32(1)) + big(Int32(0)) + big(oid) + big(Int32(elements.count)) + big(Int32(1))
        for element in elements { out += big(Int32(element.count)) + element }
        return out
    }
}

extension [PGValue.Bound] {
    /// Lends the arrays that `PQexecParams` takes.
    func withPointers<Result>(
        _ body: ([UInt32], [UnsafePointer<CChar>?], [Int32], [Int32]) throws -> Result
    ) rethrows -> Result {
        let joined = flatMap { bound -> [UInt8] in (bound.bytes ?? []) + [0] }
        return try joined.withUnsafeBytes { raw in
            let base = raw.bindMemory(to: CChar.self).baseAddress
            var offset = 0
            let values = map { value -> UnsafePointer<CChar>? in
                defer { offset += (value.bytes?.count ?? 0) + 1 }
                return value.bytes == nil ? nil : base.map { $0 + offset }
            }
            return try body(map(\.oid), values, map { Int32($0.bytes?.count ?? 0) }, map { _ in 1 })
        }
    }
}
