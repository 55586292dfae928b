/// One BSON value in bytes that somebody else keeps alive.
struct RawValue {
    let type: UInt8
    let start: UnsafePointer<UInt8>
    let count: Int

    func load<Number: FixedWidthInteger>(_ offset: Int = 0, as: Number.Type = Number.self) -> Number {
        Number(littleEndian: UnsafeRawPointer(start).loadUnaligned(fromByteOffset: offset, as: Number.self))
    }

    var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: start, count: count) }
    var double: Double { Double(bitPattern: load()) }
    /// The embedded document or array.
    var document: RawDocument? { type == 0x03 || type == 0x04 ? RawDocument(start: start, count: count) : nil }
    var isArray: Bool { type == 0x04 }

    /// The text of a string, without its length and NUL.
    var text: UnsafeBufferPointer<UInt8>? {
        type == 0x02 ? UnsafeBufferPointer(start: start + 4, count: max(0, count - 5)) : nil
    }

    var string: String? { text.map { String(decoding: $0, as: UTF8.self) } }

    /// Any number as an integer, as the server reads `limit: 5.0`.
    var integer: Int? {
        switch type {
        case 0x10: Int(load(as: Int32.self))
        case 0x12: Int(load(as: Int64.self))
        case 0x01: Int(exactly: double.rounded(.towardZero))
        default: nil
        }
    }

    var isTrue: Bool {
        switch type {
        case 0x08: start[0] != 0
        case 0x0A, 0x06: false
        default: integer.map { $0 != 0 } ?? true
        }
    }

    /// The data of a binary value, or a string's text: SASL payloads come as either.
    var payload: [UInt8] {
        if type == 0x05, count >= 5 { return Array(bytes[5...]) }
        return text.map { Array($0) } ?? []
    }

    var owned: OwnedValue { OwnedValue(type: type, bytes: Array(bytes)) }
}

/// A BSON value that owns its bytes.
struct OwnedValue: Sendable, Hashable {
    let type: UInt8
    let bytes: [UInt8]

    func lend<Result>(_ body: (RawValue) throws -> Result) rethrows -> Result {
        // An empty array may have no address, and a value of no bytes needs none of its own.
        try bytes.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else {
                var none: UInt8 = 0
                return try withUnsafePointer(to: &none) { try body(RawValue(type: type, start: $0, count: 0)) }
            }
            return try body(RawValue(type: type, start: start, count: buffer.count))
        }
    }
}

struct RawElement {
    /// The type byte: the whole element is `start..<value.start + value.count`.
    let start: UnsafePointer<UInt8>
    let nameCount: Int
    let value: RawValue

    var nameBytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: start + 1, count: nameCount) }
    var name: String { String(decoding: nameBytes, as: UTF8.self) }
    var count: Int { nameCount + 2 + value.count }

    func isNamed(_ other: [UInt8]) -> Bool {
        other.count == nameCount
            && other.withUnsafeBufferPointer { other in
                (0..<nameCount).allSatisfy { other[$0] == start[1 + $0] }
            }
    }
}

/// A BSON document in bytes that somebody else keeps alive. Only documents that passed `isValid` are walked.
struct RawDocument: Sequence {
    // The owner of the bytes is outside; values of this type never leave the lock or call that lends them.
    nonisolated(unsafe) let start: UnsafePointer<UInt8>
    let count: Int

    struct Iterator: IteratorProtocol {
        let document: RawDocument
        var offset = 4

        @inline(__always)
        mutating func next() -> RawElement? {
            guard offset < document.count - 1 else { return nil }
            let element = document.start + offset
            var nameCount = 0
            while element[1 + nameCount] != 0 { nameCount += 1 }
            let value = element + nameCount + 2
            guard
                let size = RawDocument.size(of: element[0], at: value, limit: document.count - offset - nameCount - 2)
            else { return nil }
            offset += nameCount + 2 + size
            return RawElement(
                start: element,
                nameCount: nameCount,
                value: RawValue(type: element[0], start: value, count: size)
            )
        }
    }

    func makeIterator() -> Iterator { Iterator(document: self) }

    subscript(_ name: String) -> RawValue? {
        let wanted = Array(name.utf8)
        return self[wanted]
    }

    subscript(_ name: [UInt8]) -> RawValue? {
        for element in self where element.isNamed(name) { return element.value }
        return nil
    }

    var copy: [UInt8] { Array(UnsafeBufferPointer(start: start, count: count)) }

    /// How many bytes a value takes, or nil when it does not fit `limit` bytes or has no known type.
    @inline(__always)
    static func size(of type: UInt8, at value: UnsafePointer<UInt8>, limit: Int) -> Int? {
        let size: Int
        switch type {
        case 0x07: size = 12
        case 0x01, 0x09, 0x11, 0x12: size = 8
        case 0x10: size = 4
        case 0x02, 0x0D, 0x0E: size = prefix(value, limit, least: 1) + 4
        case 0x03, 0x04, 0x0F: size = prefix(value, limit, least: 5)
        case 0x05: size = prefix(value, limit, least: 0) + 5
        case 0x08: size = 1
        case 0x06, 0x0A, 0x7F, 0xFF: size = 0
        case 0x13: size = 16
        case 0x0C: size = prefix(value, limit, least: 1) + 16
        case 0x0B:
            var end = 0
            for _ in 0..<2 {
                while end < limit, value[end] != 0 { end += 1 }
                end += 1
            }
            size = end
        default: return nil
        }
        return size <= limit ? size : nil
    }

    private static func prefix(_ value: UnsafePointer<UInt8>, _ limit: Int, least: Int) -> Int {
        guard limit >= 4 else { return .max / 2 }
        let length = Int(Int32(littleEndian: UnsafeRawPointer(value).loadUnaligned(as: Int32.self)))
        return length >= least ? length : .max / 2
    }

    /// Whether the bytes are one whole document, down to the innermost; everything else here relies on it.
    static func isValid(_ bytes: UnsafeBufferPointer<UInt8>, depth: Int = 0) -> Bool {
        guard let start = bytes.baseAddress, bytes.count >= 5, depth < 200, bytes[bytes.count - 1] == 0,
            Int32(littleEndian: UnsafeRawPointer(start).loadUnaligned(as: Int32.self)) == bytes.count
        else { return false }
        var offset = 4
        let end = bytes.count - 1
        while offset < end {
            let type = bytes[offset]
            offset += 1
            while offset < end, bytes[offset] != 0 { offset += 1 }
            offset += 1
            guard offset <= end, let size = size(of: type, at: start + offset, limit: end - offset) else {
                return false
            }
            if type == 0x03 || type == 0x04 {
                let inner = UnsafeBufferPointer(start: start + offset, count: size)
                guard isValid(inner, depth: depth + 1) else { return false }
            }
            offset += size
        }
        return offset == end
    }

    /// Lends a document's bytes for a walk; nil when they are no document.
    static func lend<Result>(_ bytes: [UInt8], _ body: (RawDocument) throws -> Result) rethrows -> Result? {
        try bytes.withUnsafeBufferPointer { buffer in
            guard isValid(buffer), let start = buffer.baseAddress else { return nil }
            return try body(RawDocument(start: start, count: buffer.count))
        }
    }
}
