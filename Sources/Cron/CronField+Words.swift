/// What a field tells a person.
extension CronField {
    /// No value is left out, however that was written.
    var coversAll: Bool { values == fullSet }

    var isSeveral: Bool { values.nonzeroBitCount > 1 }

    var sorted: [Int] { (0..<64).filter { values & (1 << UInt64($0)) != 0 } }

    /// n where the field is `*/n` and its steps stay even across the end of the field.
    var evenStep: Int? {
        let size = fullSet.nonzeroBitCount
        guard parts.count == 1, case .every(let step) = parts[0], step < size, size.isMultiple(of: step) else {
            return nil
        }
        return step
    }

    /// n where the field is `*/n` and that is more values than one wants to hear.
    var longStep: Int? {
        guard parts.count == 1, case .every(let step) = parts[0], values.nonzeroBitCount > Self.fewValues else {
            return nil
        }
        return step
    }

    /// Where the values are one unbroken run.
    var ends: (first: Int, last: Int)? {
        let sorted = sorted
        guard let first = sorted.first, let last = sorted.last, last - first == sorted.count - 1 else { return nil }
        return (first, last)
    }

    /// `a-b` alone.
    var isOneRange: Bool {
        if parts.count == 1, case .range(let first, let last, step: 1) = parts[0] { first < last } else { false }
    }

    /// The values as they were written, ranges as ranges; steps become values where these are few.
    func list(_ name: (Int) -> String) -> String { Self.join(phrases(name)) }

    /// What `list` joins.
    func phrases(_ name: (Int) -> String) -> [String] {
        parts.flatMap { part -> [String] in
            switch part {
            case .value(let value): [name(value)]
            case .every(let step):
                Self.run(fullSet.trailingZeroBitCount, 63 - fullSet.leadingZeroBitCount, step, name)
            case .range(let first, let last, let step): Self.run(first, last, step, name)
            case .lastDay, .lastWeekday, .nthWeekday: []
            }
        }
    }

    /// "a", "a and b", "a, b and c".
    static func join(_ items: [String], _ word: String = "and") -> String {
        guard let last = items.last, items.count > 1 else { return items.first ?? "" }
        return "\(items.dropLast().joined(separator: ", ")) \(word) \(last)"
    }

    private static let fewValues = 9

    private static func run(_ first: Int, _ last: Int, _ step: Int, _ name: (Int) -> String) -> [String] {
        let values = Array(stride(from: first, through: last, by: min(step, 64)))
        if values.count == 1 || step > 1, values.count <= fewValues { return values.map(name) }
        return ["\(name(first)) to \(name(last))\(step == 1 ? "" : " in steps of \(step)")"]
    }
}
