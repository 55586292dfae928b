/// Writes one BSON document. Smaller than the product's own builder, and not it: a fault there must not hide here.
package struct BSONWriter: Sendable {
    package private(set) var bytes: [UInt8] = [0, 0, 0, 0]

    package init() {}

    package static func document(_ fill: (inout BSONWriter) -> Void) -> [UInt8] {
        var writer = BSONWriter()
        fill(&writer)
        return writer.finish()
    }

    /// The document: the length goes in front, a NUL to the end.
    package consuming func finish() -> [UInt8] {
        bytes.append(0)
        let count = UInt32(truncatingIfNeeded: bytes.count)
        for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: count >> UInt32(8 * index)) }
        return bytes
    }

    package mutating func append(_ name: String, type: UInt8, raw value: some Sequence<UInt8>) {
        bytes.append(type)
        bytes.append(contentsOf: name.utf8)
        bytes.append(0)
        bytes.append(contentsOf: value)
    }

    package mutating func append(_ name: String, double value: Double) {
        append(name, type: 0x01, raw: Self.little(value.bitPattern))
    }

    package mutating func append(_ name: String, string value: String) {
        append(name, type: 0x02, raw: Self.text(value))
    }

    package mutating func append(_ name: String, document value: [UInt8]) {
        append(name, type: 0x03, raw: value)
    }

    package mutating func append(_ name: String, document fill: (inout BSONWriter) -> Void) {
        append(name, document: Self.document(fill))
    }

    package mutating func append(_ name: String, array documents: [[UInt8]]) {
        let list = Self.document { list in
            for (index, document) in documents.enumerated() { list.append("\(index)", document: document) }
        }
        append(name, type: 0x04, raw: list)
    }

    package mutating func append(_ name: String, strings: [String]) {
        let list = Self.document { list in
            for (index, text) in strings.enumerated() { list.append("\(index)", string: text) }
        }
        append(name, type: 0x04, raw: list)
    }

    package mutating func append(_ name: String, binary value: [UInt8], subtype: UInt8 = 0) {
        append(name, type: 0x05, raw: Self.little(UInt32(truncatingIfNeeded: value.count)) + [subtype] + value)
    }

    package mutating func append(_ name: String, objectID value: [UInt8]) {
        append(name, type: 0x07, raw: value)
    }

    package mutating func append(_ name: String, bool value: Bool) {
        append(name, type: 0x08, raw: [value ? 1 : 0])
    }

    /// Milliseconds since 1970.
    package mutating func append(_ name: String, date value: Int64) {
        append(name, type: 0x09, raw: Self.little(UInt64(bitPattern: value)))
    }

    package mutating func appendNull(_ name: String) {
        append(name, type: 0x0A, raw: [])
    }

    package mutating func append(_ name: String, int32 value: Int32) {
        append(name, type: 0x10, raw: Self.little(UInt32(bitPattern: value)))
    }

    package mutating func append(_ name: String, timestamp value: UInt64) {
        append(name, type: 0x11, raw: Self.little(value))
    }

    package mutating func append(_ name: String, int64 value: Int64) {
        append(name, type: 0x12, raw: Self.little(UInt64(bitPattern: value)))
    }

    /// A Decimal128 of a coefficient below 10³⁴ and an exponent in -6176…6111.
    package mutating func append(_ name: String, decimal coefficient: UInt128, exponent: Int, negative: Bool = false) {
        let sign: UInt64 = negative ? 1 << 63 : 0
        let high = UInt64(truncatingIfNeeded: coefficient >> 64) | UInt64(exponent + 6176) << 49 | sign
        append(name, type: 0x13, raw: Self.little(UInt64(truncatingIfNeeded: coefficient)) + Self.little(high))
    }

    package mutating func appendMinKey(_ name: String) {
        append(name, type: 0xFF, raw: [])
    }

    package mutating func appendMaxKey(_ name: String) {
        append(name, type: 0x7F, raw: [])
    }

    /// A BSON string value: length, text, NUL.
    package static func text(_ value: String) -> [UInt8] {
        let utf8 = Array(value.utf8)
        return little(UInt32(truncatingIfNeeded: utf8.count + 1)) + utf8 + [0]
    }

    package static func little<Number: FixedWidthInteger>(_ value: Number) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}
