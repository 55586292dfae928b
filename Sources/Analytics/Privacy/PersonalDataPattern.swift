/// What personal data look like, as PostgreSQL's regular expressions, and the checks that follow a match.
package enum PersonalDataPattern: String, Sendable, CaseIterable {
    case email, phone, card, iban

    /// Finds candidates; the first group is what `confirms` looks at.
    ///
    /// A candidate does not touch letters or digits, so that the hex of a token or a UUID is none.
    package var expression: String {
        switch self {
        case .email: #"([A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})"#
        case .phone:
            // International with +, grouped as people write national numbers, or with a trunk prefix and no space.
            #"(?:^|[^[:alnum:]_.:+-])(\+[0-9](?:[ ()./-]{0,2}[0-9]){6,14}"#
                + #"|\([0-9]{2,5}\)[ -]?[0-9]{3,}(?:[ -]?[0-9]{2,})*"#
                + #"|[0-9]{3}[ .-][0-9]{3}[ .-][0-9]{4}|0[0-9]{2,4}[ /-][0-9]{5,9}"#
                + #"|0[1-9][0-9]{8,9}|01[567][0-9]{9}|00[1-9][0-9]{10,12})(?![[:alnum:]_])"#
        case .card: #"(?:^|[^[:alnum:].])([2-6](?:[ -]?[0-9]){12,47})(?![[:alnum:]])"#
        case .iban: #"(?:^|[^[:alnum:]])([A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?)(?![[:alnum:]])"#
        }
    }

    /// Whether a candidate is what it looks like: check digits of cards and of account numbers.
    package func confirms(_ candidate: String) -> Bool {
        switch self {
        case .email: return true
        case .phone:
            let isBare = candidate.utf8.allSatisfy { (0x30...0x39).contains($0) }
            return !isBare || !CardNumber.isArticleNumber(candidate.utf8.map { Int($0 - 0x30) })
        case .card: return CardNumber.isIn(candidate)
        case .iban: return Self.passesMod97(candidate.utf8.filter { $0 != 0x20 })
        }
    }

    /// ISO 13616: the first four characters moved to the end, letters as numbers from 10, modulo 97 is 1.
    static func passesMod97(_ text: [UInt8]) -> Bool {
        guard (15...34).contains(text.count) else { return false }
        var remainder = 0
        for character in text[4...] + text[..<4] {
            switch character {
            case 0x30...0x39: remainder = (remainder * 10 + Int(character - 0x30)) % 97
            case 0x41...0x5A: remainder = (remainder * 100 + Int(character - 0x41) + 10) % 97
            default: return false
            }
        }
        return remainder == 1
    }
}
