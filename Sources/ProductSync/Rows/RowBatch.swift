/// Row images one behind the other: each a COPY BINARY tuple (int16 field count, then length and content of each
/// field).
///
/// The first field is the key. The same bytes go into COPY and come out of it, so equal rows are equal memory.
package struct RowBatch: Sendable {
    package private(set) var bytes: [UInt8] = []
    package private(set) var starts: [Int] = []

    package init() {}

    /// Room for about so much, so that filling it moves nothing.
    init(reserving bytes: Int, rows: Int) {
        self.bytes.reserveCapacity(bytes)
        starts.reserveCapacity(rows)
    }

    package var count: Int { starts.count }
    package var isEmpty: Bool { starts.isEmpty }

    package func range(_ row: Int) -> Range<Int> {
        starts[row]..<(row + 1 < starts.count ? starts[row + 1] : bytes.count)
    }

    package mutating func append(_ source: Span<UInt8>, _ range: Range<Int>) {
        starts.append(bytes.count)
        bytes.append(source, range)
    }

    /// Appends the rows from `first` on; a batch that is empty takes all of another without copying it.
    package mutating func append(_ rows: RowBatch, from first: Int) {
        guard first < rows.count else { return }
        if isEmpty, first == 0 {
            self = rows
            return
        }
        let shift = bytes.count - rows.starts[first]
        bytes.append(rows.bytes.span, rows.starts[first]..<rows.bytes.count)
        for start in rows.starts[first...] { starts.append(start + shift) }
    }

    package mutating func append(_ image: [UInt8]) {
        starts.append(bytes.count)
        bytes.append(contentsOf: image)
    }

    /// Lets `body` append one image; what it wrote is taken back when it throws.
    mutating func appendRow<Failure: Error>(_ body: (inout [UInt8]) throws(Failure) -> Void) throws(Failure) {
        let start = bytes.count
        do {
            try body(&bytes)
        } catch {
            bytes.removeSubrange(start...)
            throw error
        }
        starts.append(start)
    }

    package func image(_ row: Int) -> [UInt8] { Array(bytes[range(row)]) }

    /// The rows of `rows`, in their order.
    package func slice(_ rows: Range<Int>) -> RowBatch {
        var part = RowBatch()
        guard let first = rows.first, let last = rows.last else { return part }
        let from = starts[first]
        part.bytes = Array(bytes[from..<range(last).upperBound])
        part.starts = starts[rows].map { $0 - from }
        return part
    }

    /// The key's bytes of a row.
    package func key(_ row: Int) -> ArraySlice<UInt8> {
        bytes[RowImage.key(bytes.span, at: starts[row])]
    }

    /// The key's bytes of each row, copied.
    var keys: [[UInt8]] { (0..<count).map { Array(key($0)) } }
}

/// How to find one's way in a row image.
package enum RowImage {
    /// Range of the key's content in the image that starts at `start`.
    @inline(__always)
    static func key(_ bytes: Span<UInt8>, at start: Int) -> Range<Int> {
        let length = Int(bytes.bigEndianInt32(at: start + 2))
        return (start + 6)..<(start + 6 + max(0, length))
    }

    /// Whether the key is not NULL.
    @inline(__always)
    static func hasKey(_ bytes: Span<UInt8>, at start: Int) -> Bool { bytes.bigEndianInt32(at: start + 2) >= 0 }

    /// Content ranges of all fields of an image; nil for NULL.
    static func fields(_ bytes: Span<UInt8>, _ range: Range<Int>) -> [Range<Int>?] {
        var fields: [Range<Int>?] = []
        var at = range.lowerBound + 2
        while at + 4 <= range.upperBound {
            let length = Int(bytes.bigEndianInt32(at: at))
            at += 4
            if length < 0 {
                fields.append(nil)
            } else {
                fields.append(at..<(at + length))
                at += length
            }
        }
        return fields
    }
}
