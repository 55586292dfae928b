/// What a comparison came to.
struct OracleTally: CustomStringConvertible {
    private(set) var agreed = 0
    private(set) var second = 0
    private(set) var never = 0
    private(set) var disagreements: [String] = []

    mutating func compare(_ question: OracleCase, _ ours: OracleAnswer, _ theirs: OracleAnswer) {
        let before = disagreements.count
        for (what, mine, yours) in [
            ("next", ours.next, theirs.next), ("previous", ours.previous, theirs.previous),
            ("croniter", ours.next, theirs.second ?? ours.next),
        ] where mine != yours {
            disagreements.append("\(what) of \(question.line.dropLast()): ours \(mine), theirs \(yours)")
        }
        if theirs.second != nil { second += 1 }
        if ours.next == "never" { never += 1 }
        if disagreements.count == before { agreed += 1 }
    }

    var description: String {
        "\(agreed) agree, \(second) also asked of croniter, \(never) never fire, \(disagreements.count) disagreements"
    }
}
