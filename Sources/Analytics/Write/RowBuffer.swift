import Postgres

/// Rows as COPY BINARY tuples, one behind the other.
struct RowBuffer: Sendable {
    private(set) var bytes: [UInt8] = []
    private(set) var starts: [Int] = []

    var isEmpty: Bool { starts.isEmpty }

    /// Appends one row; `transform` may replace the value of a column that is not NULL.
    mutating func append(_ row: PGRow, width: Int, _ transform: (Int, [UInt8]) -> [UInt8]) {
        starts.append(bytes.count)
        put(Int16(width))
        for column in 0..<width {
            guard let value = row[column].bytes else {
                put(Int32(-1))
                continue
            }
            let kept = transform(column, value)
            put(Int32(kept.count))
            bytes += kept
        }
    }

    /// Appends one row of values that are there.
    mutating func append(_ values: [[UInt8]]) {
        starts.append(bytes.count)
        put(Int16(values.count))
        for value in values {
            put(Int32(value.count))
            bytes += value
        }
    }

    var tuples: some Sequence<ArraySlice<UInt8>> {
        starts.indices.lazy.map { index in
            bytes[starts[index]..<(index + 1 < starts.count ? starts[index + 1] : bytes.count)]
        }
    }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        starts.removeAll(keepingCapacity: true)
    }

    private mutating func put(_ value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}
