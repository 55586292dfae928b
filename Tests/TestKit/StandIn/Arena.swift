import Foundation

/// Memory that only grows: documents are copied into big blocks and stay where they are until all are freed.
final class Arena {
    private static let blockSize = 32 << 20
    private var blocks: [UnsafeMutableRawPointer] = []
    private var used = 0
    private var capacity = 0

    deinit {
        for block in blocks { free(block) }
    }

    func keep(_ bytes: UnsafeRawBufferPointer) -> UnsafePointer<UInt8>? {
        guard let source = bytes.baseAddress else { return nil }
        if used + bytes.count > capacity {
            let size = max(Self.blockSize, bytes.count)
            guard let block = malloc(size) else { return nil }
            blocks.append(block)
            capacity = size
            used = 0
        }
        guard let block = blocks.last else { return nil }
        let place = block + used
        memcpy(place, source, bytes.count)
        used += bytes.count
        return UnsafePointer(place.assumingMemoryBound(to: UInt8.self))
    }

    /// The copy as a document, or nil when the bytes are none.
    func keep(document bytes: [UInt8]) -> RawDocument? {
        bytes.withUnsafeBufferPointer { buffer in
            guard RawDocument.isValid(buffer), let start = keep(UnsafeRawBufferPointer(buffer)) else { return nil }
            return RawDocument(start: start, count: buffer.count)
        }
    }
}

/// Bytes of a message being put together; grows, and is used again for the next one.
final class MessageBuffer {
    private(set) var start: UnsafeMutableRawPointer
    private(set) var capacity: Int
    private(set) var count = 0

    init(capacity: Int = 1 << 16) {
        start = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        self.capacity = capacity
    }

    deinit { start.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    func clear() { count = 0 }

    /// Makes room for that many more bytes and counts them as written; where they begin.
    @inline(__always)
    func extend(_ size: Int) -> UnsafeMutableRawPointer {
        if count + size > capacity { grow(count + size) }
        defer { count += size }
        return start + count
    }

    func shorten(to count: Int) { self.count = count }

    private func grow(_ needed: Int) {
        let size = max(needed, capacity * 2)
        let place = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        memcpy(place, start, count)
        start.deallocate()
        start = place
        capacity = size
    }

    @inline(__always)
    func append(_ source: UnsafeRawPointer, _ size: Int) {
        memcpy(extend(size), source, size)
    }

    func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { if let source = $0.baseAddress { append(source, $0.count) } }
    }

    func append(byte: UInt8) {
        extend(1).storeBytes(of: byte, as: UInt8.self)
    }

    func append<Number: FixedWidthInteger>(_ value: Number) {
        extend(MemoryLayout<Number>.size).storeBytes(of: value.littleEndian, as: Number.self)
    }

    func patch(_ value: Int, at offset: Int) {
        (start + offset).storeBytes(of: Int32(truncatingIfNeeded: value).littleEndian, as: Int32.self)
    }

    /// Type byte and name of an array's element.
    @inline(__always)
    func appendArrayKey(type: UInt8, index: Int) {
        var size = 1
        var rest = index
        while rest >= 10 {
            rest /= 10
            size += 1
        }
        let place = extend(size + 2).assumingMemoryBound(to: UInt8.self)
        place[0] = type
        place[size + 1] = 0
        rest = index
        for position in stride(from: size, to: 0, by: -1) {
            place[position] = UInt8(truncatingIfNeeded: 48 + rest % 10)
            rest /= 10
        }
    }

    /// Opens a document or array: its length is written by `close`.
    func open() -> Int {
        defer { append(Int32(0)) }
        return count
    }

    func close(_ opened: Int) {
        append(byte: 0)
        patch(count - opened, at: opened)
    }
}
