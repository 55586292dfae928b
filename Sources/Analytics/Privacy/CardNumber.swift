/// Numbers of payment cards: prefix and length of an issuer, and the check digit.
enum CardNumber {
    private struct Issuer {
        /// Numbers that the first digits, as many as these have, lie between.
        let prefixes: [ClosedRange<Int>]
        let lengths: Set<Int>
    }

    /// By ISO/IEC 7812 and what the networks publish. Visa's old 13 digits count only where they are grouped.
    private static let issuers = [
        Issuer(prefixes: [4...4], lengths: [13, 16, 19]),
        Issuer(prefixes: [51...55, 2221...2720], lengths: [16]),
        Issuer(prefixes: [34...34, 37...37], lengths: [15]),
        Issuer(prefixes: [300...305, 309...309, 36...36, 38...39], lengths: [14, 16]),
        Issuer(prefixes: [6011...6011, 644...649, 65...65, 62...62], lengths: [16, 17, 18, 19]),
        Issuer(prefixes: [3528...3589], lengths: [16, 17, 18, 19]),
        Issuer(prefixes: [2200...2204], lengths: [16]),
        Issuer(
            prefixes: [5018...5018, 5020...5020, 5038...5038, 5893...5893, 6304...6304, 6759...6759, 6761...6763],
            lengths: [16, 17, 18, 19]
        ),
    ]

    /// Whether digits in groups, cut by spaces or hyphens, hold a card: the whole, or some of the groups side by side,
    /// as where a date or another number follows.
    static func isIn(_ candidate: String) -> Bool {
        let groups = candidate.utf8.split { $0 == 0x20 || $0 == 0x2D }.map { $0.map { Int($0) - 0x30 } }
        for first in groups.indices {
            var digits: [Int] = []
            for next in groups.indices[first...] {
                digits += groups[next]
                if digits.count > 19 { break }
                if isCard(digits, isGrouped: next > first) { return true }
            }
        }
        return false
    }

    private static func isCard(_ digits: [Int], isGrouped: Bool) -> Bool {
        guard digits.count > 13 || isGrouped, isIssued(digits), passesLuhn(digits) else { return false }
        return isGrouped || !isArticleNumber(digits)
    }

    private static func isIssued(_ digits: [Int]) -> Bool {
        issuers.contains { issuer in
            issuer.lengths.contains(digits.count)
                && issuer.prefixes.contains { range in
                    let width = String(range.lowerBound).count
                    return range.contains(digits.prefix(width).reduce(0) { $0 * 10 + $1 })
                }
        }
    }

    /// ISO/IEC 7812-1, annex B.
    private static func passesLuhn(_ digits: [Int]) -> Bool {
        guard Set(digits).count > 1 else { return false }
        let sum = digits.reversed().enumerated().reduce(0) { sum, next in
            guard next.offset % 2 == 1 else { return sum + next.element }
            let doubled = next.element * 2
            return sum + (doubled > 9 ? doubled - 9 : doubled)
        }
        return sum % 10 == 0
    }

    /// Whether digits are an article number (GTIN-12, -13, -14) by their length and check digit.
    static func isArticleNumber(_ digits: [Int]) -> Bool {
        guard (12...14).contains(digits.count) else { return false }
        let sum = digits.reversed().enumerated().reduce(0) { $0 + $1.element * ($1.offset % 2 == 1 ? 3 : 1) }
        return sum % 10 == 0
    }
}
