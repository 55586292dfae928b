package import Postgres
import Runtime

/// What a stretch of the merge found.
package struct Findings: Sendable {
    package var missing = RowBatch()
    /// Source images of rows that differ, and beside each the target's.
    package var staleSource = RowBatch()
    package var staleTarget = RowBatch()
    /// Target images of rows that no document has.
    package var orphaned = RowBatch()
    /// Target rows whose key is NULL, which no document can have and no lookup finds.
    package var keyless = 0
    package private(set) var rejected: [Rejected] = []
    private var rejectedBytes = 0
    /// A document among these may be older than the row that was read for it, so that both sides may have moved on
    /// together: it is read again before it replaces anything.
    package var mayBeOutrun = false
    package var unchanged = 0
    /// Keys of unchanged rows; collected only while dead letters are open, so that these can be resolved.
    package var unchangedKeys: [[UInt8]] = []

    package struct Rejected: Sendable, Equatable {
        /// The key's bytes, as in a row image.
        package let key: [UInt8]
        package let rejection: FieldRejection
    }

    package init() {}

    /// Bytes held, which decide when the findings travel on; an unchanged key that is kept counts as 64.
    package var bytes: Int {
        missing.bytes.count + staleSource.bytes.count + staleTarget.bytes.count + orphaned.bytes.count + rejectedBytes
            + unchangedKeys.count * 64
    }

    /// Notes a document that cannot become a row.
    package mutating func reject(_ key: [UInt8], _ rejection: FieldRejection) {
        rejected.append(Rejected(key: key, rejection: rejection))
        rejectedBytes += MemoryLayout<Rejected>.stride + 32 + key.count
    }

    package var isEmpty: Bool {
        missing.isEmpty && staleSource.isEmpty && orphaned.isEmpty && rejected.isEmpty && unchanged == 0 && keyless == 0
    }
}

/// Merges two streams of rows in key order, as far as both sides reach: pure, no wait, no clock.
///
/// The caller feeds pages and chunks in their order and refills whichever side ran out.
package struct MergeStep: Sendable {
    let plan: ColumnPlan
    let order: SyncKey.Order
    private let collectsUnchangedKeys: Bool
    private var lastTargetKey: [UInt8] = []
    private var hasTargetKey = false
    /// The row of the chunk at hand whose key was the last; its bytes are copied when the stretch ends.
    private var lastRow: Int?

    package init(plan: ColumnPlan, order: SyncKey.Order, collectsUnchangedKeys: Bool = false) {
        self.plan = plan
        self.order = order
        self.collectsUnchangedKeys = collectsUnchangedKeys
    }

    /// Advances until one side is used up. An ended side is passed as nil: the other's rows then all differ.
    ///
    /// Throws `.protocolViolation` when the target's keys do not ascend as its type promises, or when a document comes
    /// behind rows that its own may be among.
    package mutating func run(
        source: SourcePage?,
        sourceRow: inout Int,
        target: PGCopyChunk?,
        targetRow: inout Int,
        into findings: inout Findings
    ) throws {
        if let source, let target {
            try mergeBoth(source, &sourceRow, target, &targetRow, into: &findings)
        } else if let source {
            try takeMissing(source, from: sourceRow, into: &findings)
            sourceRow = source.rows.count
        } else if let target {
            while targetRow < target.rowStarts.count {
                if try !skipForeign(target, targetRow, into: &findings) {
                    findings.orphaned.append(target.bytes.span, target.range(targetRow))
                    try noteOrder(target, targetRow)
                }
                targetRow += 1
            }
        }
        keepLastKey(target)
    }

    /// The hot loop: most rows are the same memory on both sides, and one comparison of it settles them.
    private mutating func mergeBoth(
        _ source: SourcePage,
        _ sourceRow: inout Int,
        _ target: PGCopyChunk,
        _ targetRow: inout Int,
        into findings: inout Findings
    ) throws {
        let sourceBytes = source.rows.bytes.span
        let targetBytes = target.bytes.span
        let sourceCount = source.rows.count
        let targetCount = target.rowStarts.count
        let plain = source.rejections.isEmpty && !collectsUnchangedKeys
        while targetRow < targetCount {
            let targetRange = target.range(targetRow)
            if plain, sourceRow < sourceCount,
                ImageComparison.sameMemory(sourceBytes, source.rows.range(sourceRow), targetBytes, targetRange)
            {
                try noteOrder(target, targetRow)
                findings.unchanged += 1
                sourceRow += 1
                targetRow += 1
                continue
            }
            if try skipForeign(target, targetRow, into: &findings) {
                targetRow += 1
                continue
            }
            guard sourceRow < sourceCount else { return }
            let result = compareKeys(source.rows, sourceRow, target, targetRow)
            if result < 0 { try checkPlace(source.rows, sourceRow, target) }
            if result <= 0 {
                takeSource(source, sourceRow, matching: result == 0 ? (target, targetRow) : nil, &findings)
                sourceRow += 1
            }
            if result > 0 { findings.orphaned.append(targetBytes, targetRange) }
            if result >= 0 {
                try noteOrder(target, targetRow)
                targetRow += 1
            }
        }
    }

    /// What is left of a page when the target has ended.
    private func takeMissing(_ source: SourcePage, from first: Int, into findings: inout Findings) throws {
        if hasTargetKey {
            for row in first..<source.rows.count { try checkPlace(source.rows, row, nil) }
        }
        if source.rejections.isEmpty { return findings.missing.append(source.rows, from: first) }
        for row in first..<source.rows.count { takeSource(source, row, matching: nil, &findings) }
    }

    private func takeSource(
        _ source: SourcePage,
        _ row: Int,
        matching target: (PGCopyChunk, Int)?,
        _ findings: inout Findings
    ) {
        if !source.rejections.isEmpty, let rejection = source.rejections[row] {
            findings.reject(Array(source.rows.key(row)), rejection)
            return
        }
        let range = source.rows.range(row)
        guard let (chunk, chunkRow) = target else {
            findings.missing.append(source.rows.bytes.span, range)
            return
        }
        let targetRange = chunk.range(chunkRow)
        if Self.same(source.rows.bytes.span, range, chunk.bytes.span, targetRange, plan) {
            findings.unchanged += 1
            if collectsUnchangedKeys { findings.unchangedKeys.append(Array(source.rows.key(row))) }
        } else {
            findings.staleSource.append(source.rows.bytes.span, range)
            findings.staleTarget.append(chunk.bytes.span, targetRange)
        }
    }

    static func same(
        _ left: Span<UInt8>,
        _ leftRange: Range<Int>,
        _ right: Span<UInt8>,
        _ rightRange: Range<Int>,
        _ plan: ColumnPlan
    ) -> Bool {
        ImageComparison.sameMemory(left, leftRange, right, rightRange)
            || ImageComparison.differingColumns(left, leftRange, right, rightRange, plan: plan).isEmpty
    }

    /// A target key outside the source's domain (a text that is no ObjectId) is an orphan wherever it sorts; NULL is no
    /// key at all.
    private func skipForeign(_ target: PGCopyChunk, _ row: Int, into findings: inout Findings) throws -> Bool {
        let bytes = target.bytes.span
        guard RowImage.hasKey(bytes, at: Int(target.rowStarts[row])) else {
            findings.keyless += 1
            return true
        }
        guard case .bytes(let domain) = order else { return false }
        let key = RowImage.key(bytes, at: Int(target.rowStarts[row]))
        let inside =
            switch domain {
            case .all: true
            case .objectIDHex: HexText.isHex(bytes, trimmed(bytes, key), count: 24)
            case .uuidText: HexText.isUUID(bytes, trimmed(bytes, key))
            }
        if !inside { findings.orphaned.append(bytes, target.range(row)) }
        return !inside
    }

    /// A padded key without its blanks.
    private func trimmed(_ bytes: Span<UInt8>, _ key: Range<Int>) -> Range<Int> {
        guard case .text(_, _, padded: true) = plan.key else { return key }
        var end = key.upperBound
        while end > key.lowerBound, bytes[end - 1] == UInt8(ascii: " ") { end -= 1 }
        return key.lowerBound..<end
    }

    private func compareKeys(_ source: RowBatch, _ sourceRow: Int, _ target: PGCopyChunk, _ targetRow: Int) -> Int {
        let left = source.bytes.span
        let right = target.bytes.span
        return compare(
            left,
            RowImage.key(left, at: source.starts[sourceRow]),
            right,
            RowImage.key(right, at: Int(target.rowStarts[targetRow]))
        )
    }

    private func compare(_ left: Span<UInt8>, _ leftKey: Range<Int>, _ right: Span<UInt8>, _ rightKey: Range<Int>)
        -> Int
    {
        let common = min(leftKey.count, rightKey.count)
        if order == .signedInteger, common > 0 {
            // Two's complement compares like unsigned once the sign bit is turned over.
            let one = left[leftKey.lowerBound] ^ 0x80
            let other = right[rightKey.lowerBound] ^ 0x80
            if one != other { return one < other ? -1 : 1 }
        }
        let result = left.compare(
            leftKey.lowerBound..<(leftKey.lowerBound + common),
            right,
            rightKey.lowerBound..<(rightKey.lowerBound + common)
        )
        return result == 0 ? leftKey.count - rightKey.count : result
    }

    /// "Checked while reading": an order that is not ours would make rows look missing that are there.
    private mutating func noteOrder(_ target: PGCopyChunk, _ row: Int) throws {
        let bytes = target.bytes.span
        guard compareLast(target, bytes, RowImage.key(bytes, at: Int(target.rowStarts[row]))) < 0 else {
            throw TallyError(
                .protocolViolation,
                during: "sync.merge",
                "the target's keys do not come in ascending order",
                remedy: "REINDEX the key's index; a changed collation (libc or ICU update) is the usual cause."
            )
        }
        lastRow = row
    }

    /// A document is missing only where its key lies behind every key of the target that was passed.
    private func checkPlace(_ source: RowBatch, _ row: Int, _ target: PGCopyChunk?) throws {
        let bytes = source.bytes.span
        guard compareLast(target, bytes, RowImage.key(bytes, at: source.starts[row])) < 0 else {
            throw TallyError(
                .protocolViolation,
                during: "sync.merge",
                "the source's documents do not come in the order of the target's keys",
                remedy: "A collection with a collation of its own sorts by that: a key column that is not collated C "
                    + "has its rows looked up instead."
            )
        }
    }

    /// The last key of the target against another; less than it before the first.
    @inline(__always)
    private func compareLast(_ target: PGCopyChunk?, _ bytes: Span<UInt8>, _ key: Range<Int>) -> Int {
        if let lastRow, let target {
            let last = target.bytes.span
            return compare(last, RowImage.key(last, at: Int(target.rowStarts[lastRow])), bytes, key)
        }
        return hasTargetKey ? compare(lastTargetKey.span, 0..<lastTargetKey.count, bytes, key) : -1
    }

    /// Once for each stretch: the next one may be of another chunk.
    private mutating func keepLastKey(_ target: PGCopyChunk?) {
        guard let target, let row = lastRow else { return }
        lastTargetKey.removeAll(keepingCapacity: true)
        lastTargetKey.append(target.bytes.span, RowImage.key(target.bytes.span, at: Int(target.rowStarts[row])))
        hasTargetKey = true
        lastRow = nil
    }
}
