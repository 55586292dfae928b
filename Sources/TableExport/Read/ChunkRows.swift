import Postgres

extension PGCopyChunk {
    /// Where the rows of a range begin and end in `bytes`.
    func span(_ rows: Range<Int>) -> Range<Int> {
        func start(_ row: Int) -> Int { row < rowStarts.count ? Int(rowStarts[row]) : bytes.count }
        return start(rows.lowerBound)..<start(rows.upperBound)
    }

    func row(_ index: Int) -> ArraySlice<UInt8> { bytes[span(index..<index + 1)] }

    /// Its first rows alone.
    func first(_ count: Int) -> PGCopyChunk {
        guard count < rowStarts.count else { return self }
        return PGCopyChunk(bytes: Array(bytes[span(0..<count)]), rowStarts: Array(rowStarts.prefix(count)))
    }

    mutating func append(_ other: PGCopyChunk) {
        let offset = Int32(bytes.count)
        bytes += other.bytes
        rowStarts += other.rowStarts.map { $0 + offset }
    }
}
