import Postgres

/// Compares two row images by the meaning of their values.
///
/// Most rows are equal memory. Where they are not, the fields that differ are looked at again by type: a numeric may
/// carry another display scale, a jsonb another order, a float another zero.
enum ImageComparison {
    /// Indices of the columns whose values differ; empty for equal rows.
    static func differingColumns(
        _ left: Span<UInt8>,
        _ leftRange: Range<Int>,
        _ right: Span<UInt8>,
        _ rightRange: Range<Int>,
        plan: ColumnPlan
    ) -> [Int] {
        let leftFields = RowImage.fields(left, leftRange)
        let rightFields = RowImage.fields(right, rightRange)
        var columns: [Int] = []
        for index in 1..<max(1, plan.columns.count) {
            guard index < leftFields.count, index < rightFields.count else { break }
            switch (leftFields[index], rightFields[index]) {
            case (nil, nil): continue
            case (let leftField?, let rightField?):
                if equal(left, leftField, right, rightField, plan.columns[index].type) { continue }
                columns.append(index)
            default: columns.append(index)
            }
        }
        return columns
    }

    /// Whether the left image's `column` is greater than the right's; NULL is less than everything, NaN greater.
    static func isGreater(
        _ left: Span<UInt8>,
        _ leftRange: Range<Int>,
        _ right: Span<UInt8>,
        _ rightRange: Range<Int>,
        column: Int,
        type: FieldType
    ) -> Bool {
        let leftFields = RowImage.fields(left, leftRange)
        let rightFields = RowImage.fields(right, rightRange)
        guard column < leftFields.count, column < rightFields.count, let one = leftFields[column] else { return false }
        guard let other = rightFields[column] else { return true }
        switch type {
        case .numeric:
            guard let first = PGNumeric(binary: left.extracting(one)),
                let second = PGNumeric(binary: right.extracting(other))
            else { return false }
            return second < first
        case .float8:
            return isGreater(
                Double(bitPattern: left.bigEndianUInt64(at: one.lowerBound)),
                Double(bitPattern: right.bigEndianUInt64(at: other.lowerBound))
            )
        case .float4:
            return isGreater(
                Float(bitPattern: UInt32(bitPattern: left.bigEndianInt32(at: one.lowerBound))),
                Float(bitPattern: UInt32(bitPattern: right.bigEndianInt32(at: other.lowerBound)))
            )
        case .int2, .int4, .int8, .timestamp, .date:
            return SyncKey.integer(Array(left, one)) > SyncKey.integer(Array(right, other))
        default:
            return Array(right, other).lexicographicallyPrecedes(Array(left, one))
        }
    }

    private static func isGreater<F: FloatingPoint>(_ left: F, _ right: F) -> Bool {
        left > right || (left.isNaN && !right.isNaN)
    }

    static func sameMemory(_ left: Span<UInt8>, _ leftRange: Range<Int>, _ right: Span<UInt8>, _ rightRange: Range<Int>)
        -> Bool
    {
        leftRange.count == rightRange.count && left.compare(leftRange, right, rightRange) == 0
    }

    private static func equal(
        _ left: Span<UInt8>,
        _ leftRange: Range<Int>,
        _ right: Span<UInt8>,
        _ rightRange: Range<Int>,
        _ type: FieldType
    ) -> Bool {
        if sameMemory(left, leftRange, right, rightRange) { return true }
        switch type {
        case .numeric:
            guard let one = PGNumeric(binary: left.extracting(leftRange)),
                let other = PGNumeric(binary: right.extracting(rightRange))
            else { return false }
            return one == other
        case .float8:
            guard leftRange.count == 8, rightRange.count == 8 else { return false }
            let one = Double(bitPattern: left.bigEndianUInt64(at: leftRange.lowerBound))
            let other = Double(bitPattern: right.bigEndianUInt64(at: rightRange.lowerBound))
            return one == other || (one.isNaN && other.isNaN)
        case .float4:
            guard leftRange.count == 4, rightRange.count == 4 else { return false }
            let one = Float(bitPattern: UInt32(bitPattern: left.bigEndianInt32(at: leftRange.lowerBound)))
            let other = Float(bitPattern: UInt32(bitPattern: right.bigEndianInt32(at: rightRange.lowerBound)))
            return one == other || (one.isNaN && other.isNaN)
        case .json: return sameJSON(left, leftRange, right, rightRange, skip: 0)
        case .jsonb: return sameJSON(left, leftRange, right, rightRange, skip: 1)
        case .array(let element, _): return sameArray(left, leftRange, right, rightRange, element)
        case .bool, .int2, .int4, .int8, .text, .padded, .timestamp, .date, .uuid, .bytea: return false
        }
    }

    private static func sameJSON(
        _ left: Span<UInt8>,
        _ leftRange: Range<Int>,
        _ right: Span<UInt8>,
        _ rightRange: Range<Int>,
        skip: Int
    ) -> Bool {
        guard leftRange.count >= skip, rightRange.count >= skip,
            let one = CanonicalJSON.bytes(of: left, (leftRange.lowerBound + skip)..<leftRange.upperBound),
            let other = CanonicalJSON.bytes(of: right, (rightRange.lowerBound + skip)..<rightRange.upperBound)
        else { return false }
        return one == other
    }

    /// Same shape and equal elements; flags, which only tell whether there may be NULLs, do not matter.
    private static func sameArray(
        _ left: Span<UInt8>,
        _ leftRange: Range<Int>,
        _ right: Span<UInt8>,
        _ rightRange: Range<Int>,
        _ element: FieldType
    ) -> Bool {
        guard leftRange.count >= 12, rightRange.count >= 12 else { return false }
        let dimensions = left.bigEndianInt32(at: leftRange.lowerBound)
        guard dimensions == right.bigEndianInt32(at: rightRange.lowerBound) else { return false }
        guard dimensions == 1 else { return dimensions == 0 }
        let head = 20
        guard leftRange.count >= head, rightRange.count >= head else { return false }
        for offset in [12, 16]
        where left.bigEndianInt32(at: leftRange.lowerBound + offset)
            != right.bigEndianInt32(at: rightRange.lowerBound + offset)
        {
            return false
        }
        // The elements are laid out like the fields of a row image behind its two bytes of count.
        let ours = RowImage.fields(left, (leftRange.lowerBound + head - 2)..<leftRange.upperBound)
        let theirs = RowImage.fields(right, (rightRange.lowerBound + head - 2)..<rightRange.upperBound)
        guard ours.count == theirs.count else { return false }
        for (one, other) in zip(ours, theirs) {
            switch (one, other) {
            case (nil, nil): continue
            case (let one?, let other?): if !equal(left, one, right, other, element) { return false }
            default: return false
            }
        }
        return true
    }
}
