import Runtime

/// How far the ids of sales were read; judges those of each page before anything stands on them.
struct SalesIDs: Sendable {
    /// How many ids may lie between two sales that follow each other.
    let gapMax: Int64
    /// The highest id so far; nil before the first.
    private(set) var last: Int64?

    init(gapMax: Int64, last: Int64?) {
        self.gapMax = gapMax
        self.last = last
    }

    /// Takes a page's ids in; the id to ask for next, nil when the page has none.
    ///
    /// Throws `.changeImplausible` for an id far beyond the one before it, since the position would step over every
    /// real one until then, and `.protocolViolation` for one that nothing can follow.
    mutating func take(_ ids: [Int64]) throws -> Int64? {
        let sorted = ids.sorted()
        guard let first = sorted.first, let highest = sorted.last else { return nil }
        var before = last ?? first
        for id in sorted where id > before {
            let (gap, overflow) = id.subtractingReportingOverflow(before)
            guard !overflow, gap <= gapMax else {
                throw TallyError(
                    .changeImplausible,
                    during: "retail.fetch",
                    "the source gave sale \(id) right after sale \(before); at most \(gapMax) ids may lie between",
                    remedy: "Nothing of the page was stored. Look at the source; raise SALES_ID_GAP_MAX if it is right."
                )
            }
            before = id
        }
        last = before
        return try Self.after(highest)
    }

    /// The id behind one. Throws `.protocolViolation` when there is none.
    static func after(_ id: Int64) throws -> Int64 {
        let (next, overflow) = id.addingReportingOverflow(1)
        guard !overflow else {
            throw TallyError(.protocolViolation, during: "retail.fetch", "a sale's id is the highest number there is")
        }
        return next
    }

    /// Where reading begins: `lookback` ids before the one after the last, never before `first`.
    static func start(after last: Int64, lookback: Int64, first: Int64) throws -> Int64 {
        let (start, overflow) = try after(last).subtractingReportingOverflow(lookback)
        return overflow ? first : max(first, start)
    }
}
