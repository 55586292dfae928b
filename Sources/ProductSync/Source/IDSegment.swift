import Mongo

/// A stretch of `_id` values that one keyset of pages reads: within one bracket, below a bound if there is one.
struct IDSegment {
    /// The filter of the first page.
    let first: BSONDocument
    /// The filter asks for one value; no page follows.
    let isSingleValue: Bool
    private let upper: IDPosition?

    /// The filter of the page behind the last `_id` seen.
    func filter(after last: IDPosition) -> BSONDocument {
        IDBracket.filter { bound in
            bound.append("$gt", raw: last.type, last.bytes)
            if let upper { bound.append("$lt", raw: upper.type, upper.bytes) }
        }
    }

    /// The segments of `range` in `brackets`, in the order of `_id`.
    ///
    /// A bound lies in one bracket: those before the lower one's and behind the upper one's are left out.
    static func all(of brackets: [IDBracket], in range: SideRange<IDPosition>) -> [IDSegment] {
        guard case .between(let lower, let upper) = range else { return [] }
        return brackets.flatMap { bracket -> [IDSegment] in
            if let from = lower?.bracket, bracket < from { return [] }
            if let to = upper?.bracket, to < bracket { return [] }
            let end = upper?.bracket == bracket ? upper : nil
            if let lower, lower.bracket == bracket { return [IDSegment(from: lower, below: end)] }
            return bracket.starts.map { IDSegment($0, below: end) }
        }
    }

    private init(from lower: IDPosition, below upper: IDPosition?) {
        first = IDBracket.filter { bound in
            bound.append("$gte", raw: lower.type, lower.bytes)
            if let upper { bound.append("$lt", raw: upper.type, upper.bytes) }
        }
        isSingleValue = false
        self.upper = upper
    }

    private init(_ start: IDBracket.Start, below upper: IDPosition?) {
        if let upper, !start.isSingleValue {
            first = IDBracket.filter { bound in
                start.appendLowest(&bound, "$gte")
                bound.append("$lt", raw: upper.type, upper.bytes)
            }
        } else {
            first = start.filter
        }
        isSingleValue = start.isSingleValue
        self.upper = upper
    }
}
