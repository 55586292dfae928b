/// Writes a BSON document field by field.
///
/// Names must not hold U+0000; the part of a name from a NUL on is left out, since it could not be read back. A
/// document may have two fields of one name: the builder does not look.
package struct BSONBuilder: Sendable {
    private var body: [UInt8] = [0, 0, 0, 0]

    package init() {}

    /// The document so far; the builder may go on.
    package func finish() -> BSONDocument {
        var bytes = body
        bytes.append(0)
        let length = UInt32(truncatingIfNeeded: bytes.count)
        for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: length >> UInt32(8 * index)) }
        return BSONDocument(bytes: bytes)
    }

    package mutating func append(_ name: String, int32 value: Int32) {
        head(.int32, name)
        little(UInt32(bitPattern: value))
    }

    package mutating func append(_ name: String, int64 value: Int64) {
        head(.int64, name)
        little(UInt64(bitPattern: value))
    }

    package mutating func append(_ name: String, double value: Double) {
        head(.double, name)
        little(value.bitPattern)
    }

    package mutating func append(_ name: String, string value: String) {
        head(.string, name)
        var value = value
        value.withUTF8 { text in
            little(UInt32(truncatingIfNeeded: text.count + 1))
            body.append(contentsOf: text)
        }
        body.append(0)
    }

    package mutating func append(_ name: String, bool value: Bool) {
        head(.bool, name)
        body.append(value ? 1 : 0)
    }

    package mutating func appendNull(_ name: String) {
        head(.null, name)
    }

    package mutating func appendMinKey(_ name: String) {
        head(.minKey, name)
    }

    package mutating func appendMaxKey(_ name: String) {
        head(.maxKey, name)
    }

    /// - Parameter value: 12 bytes; shorter ones are padded with zeros, longer ones cut.
    package mutating func append(_ name: String, objectID value: [UInt8]) {
        head(.objectID, name)
        body.append(contentsOf: value.prefix(12))
        body.append(contentsOf: repeatElement(0, count: max(0, 12 - value.count)))
    }

    /// - Parameter value: milliseconds since 1970-01-01T00:00:00Z.
    package mutating func append(_ name: String, date value: Int64) {
        head(.date, name)
        little(UInt64(bitPattern: value))
    }

    package mutating func append(_ name: String, document value: BSONDocument) {
        head(.document, name)
        body.append(contentsOf: value.bytes)
    }

    /// - Parameter value: a document whose names are "0", "1", "2" and so on.
    package mutating func append(_ name: String, array value: BSONDocument) {
        head(.array, name)
        body.append(contentsOf: value.bytes)
    }

    /// - Parameter subtype: 0 generic, 4 UUID; for 2 the old inner length is written too.
    package mutating func append(_ name: String, binary value: [UInt8], subtype: UInt8) {
        head(.binary, name)
        let inner = subtype == 2 ? 4 : 0
        little(UInt32(truncatingIfNeeded: value.count + inner))
        body.append(subtype)
        if subtype == 2 { little(UInt32(truncatingIfNeeded: value.count)) }
        body.append(contentsOf: value)
    }

    /// Appends a value that is BSON already, such as the bytes of an element's `value` range.
    package mutating func append(_ name: String, raw type: BSONType, _ bytes: [UInt8]) {
        head(type, name)
        body.append(contentsOf: bytes)
    }

    private mutating func head(_ type: BSONType, _ name: String) {
        body.append(type.rawValue)
        body.append(contentsOf: name.utf8.prefix { $0 != 0 })
        body.append(0)
    }

    private mutating func little(_ value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            body.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}
