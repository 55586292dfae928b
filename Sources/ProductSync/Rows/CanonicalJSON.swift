import Postgres

/// One spelling for all JSON texts that mean the same: sorted members, no spaces, exact numbers without trailing zeros.
///
/// Of members with one name the last counts, as in jsonb. Numbers are compared as decimals, never through a double.
enum CanonicalJSON {
    /// nil when the text is not JSON or is nested deeper than 200.
    static func bytes(of text: Span<UInt8>, _ range: Range<Int>) -> [UInt8]? {
        var parser = Parser(at: range.lowerBound, end: range.upperBound)
        guard let value = parser.value(text, depth: 0) else { return nil }
        parser.skipSpace(text)
        return parser.at == parser.end ? value : nil
    }

    private struct Parser {
        var at: Int
        let end: Int

        mutating func value(_ text: Span<UInt8>, depth: Int) -> [UInt8]? {
            skipSpace(text)
            guard at < end, depth <= 200 else { return nil }
            switch text[at] {
            case UInt8(ascii: "{"): return object(text, depth: depth)
            case UInt8(ascii: "["): return array(text, depth: depth)
            case UInt8(ascii: "\""): return string(text).map { [UInt8(ascii: "\"")] + $0 + [0] }
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return number(text)
            default: return word(text)
            }
        }

        mutating func skipSpace(_ text: Span<UInt8>) {
            while at < end, text[at] == 32 || text[at] == 10 || text[at] == 13 || text[at] == 9 { at += 1 }
        }

        private mutating func take(_ byte: UInt8, _ text: Span<UInt8>) -> Bool {
            skipSpace(text)
            guard at < end, text[at] == byte else { return false }
            at += 1
            return true
        }

        private mutating func object(_ text: Span<UInt8>, depth: Int) -> [UInt8]? {
            at += 1
            var members: [[UInt8]: [UInt8]] = [:]
            if !take(UInt8(ascii: "}"), text) {
                repeat {
                    skipSpace(text)
                    guard at < end, text[at] == UInt8(ascii: "\""), let name = string(text),
                        take(UInt8(ascii: ":"), text), let member = value(text, depth: depth + 1)
                    else { return nil }
                    members[name] = member
                } while take(UInt8(ascii: ","), text)
                guard take(UInt8(ascii: "}"), text) else { return nil }
            }
            var out: [UInt8] = [UInt8(ascii: "{")]
            for (name, member) in members.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                out += name + [0] + member
            }
            return out + [UInt8(ascii: "}")]
        }

        private mutating func array(_ text: Span<UInt8>, depth: Int) -> [UInt8]? {
            at += 1
            var out: [UInt8] = [UInt8(ascii: "[")]
            if !take(UInt8(ascii: "]"), text) {
                repeat {
                    guard let element = value(text, depth: depth + 1) else { return nil }
                    out += element + [UInt8(ascii: ",")]
                } while take(UInt8(ascii: ","), text)
                guard take(UInt8(ascii: "]"), text) else { return nil }
            }
            return out + [UInt8(ascii: "]")]
        }

        /// The string's UTF-8 with escapes resolved; JSON allows no NUL in what PostgreSQL holds, so NUL can end it.
        private mutating func string(_ text: Span<UInt8>) -> [UInt8]? {
            at += 1
            var units: [UInt8] = []
            while at < end {
                let byte = text[at]
                at += 1
                if byte == UInt8(ascii: "\"") { return units }
                guard byte == UInt8(ascii: "\\") else {
                    units.append(byte)
                    continue
                }
                guard at < end else { return nil }
                let escape = text[at]
                at += 1
                switch escape {
                case UInt8(ascii: "n"): units.append(10)
                case UInt8(ascii: "r"): units.append(13)
                case UInt8(ascii: "t"): units.append(9)
                case UInt8(ascii: "b"): units.append(8)
                case UInt8(ascii: "f"): units.append(12)
                case UInt8(ascii: "u"): guard unicode(text, into: &units) else { return nil }
                default: units.append(escape)
                }
            }
            return nil
        }

        private mutating func hex(_ text: Span<UInt8>) -> UInt32? {
            guard at + 4 <= end else { return nil }
            var value: UInt32 = 0
            for _ in 0..<4 {
                guard let digit = HexText.value(text[at] | (text[at] > 64 ? 32 : 0)) else { return nil }
                value = value << 4 | UInt32(digit)
                at += 1
            }
            return value
        }

        private mutating func unicode(_ text: Span<UInt8>, into units: inout [UInt8]) -> Bool {
            guard var code = hex(text) else { return false }
            if (0xD800..<0xDC00).contains(code) {
                guard at + 2 <= end, text[at] == UInt8(ascii: "\\"), text[at + 1] == UInt8(ascii: "u") else {
                    return false
                }
                at += 2
                guard let low = hex(text), (0xDC00..<0xE000).contains(low) else { return false }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { return false }
            units.append(contentsOf: String(Character(scalar)).utf8)
            return true
        }

        private mutating func number(_ text: Span<UInt8>) -> [UInt8]? {
            let start = at
            while at < end, isNumberByte(text[at]) { at += 1 }
            let digits = String(decoding: Array(text, start..<at), as: UTF8.self)
            guard let numeric = PGNumeric(decimalText: digits) else { return nil }
            return Array(numeric.text.utf8)
        }

        private func isNumberByte(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
                || byte == UInt8(ascii: "+")
                || byte == UInt8(ascii: ".") || byte | 32 == UInt8(ascii: "e")
        }

        private mutating func word(_ text: Span<UInt8>) -> [UInt8]? {
            for word in ["true", "false", "null"] {
                let bytes = Array(word.utf8)
                if at + bytes.count <= end, text.equals(at..<(at + bytes.count), bytes) {
                    at += bytes.count
                    return bytes
                }
            }
            return nil
        }
    }
}
