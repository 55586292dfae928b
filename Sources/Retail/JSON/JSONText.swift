/// The bytes behind a token.
enum JSONText {
    /// The UTF-8 of a string, its escapes undone; nil for a bad escape or half a surrogate pair.
    static func unescaped(_ bytes: borrowing Span<UInt8>, _ token: JSONToken) -> [UInt8]? {
        var out: [UInt8] = []
        return append(bytes, token, to: &out) ? out : nil
    }

    /// Appends the UTF-8 of a string; false for a bad escape, when `out` holds what came before it.
    static func append(_ bytes: borrowing Span<UInt8>, _ token: JSONToken, to out: inout [UInt8]) -> Bool {
        var index = token.start + 1
        let end = token.end - 1
        guard token.isEscaped else {
            for place in index..<end { out.append(bytes[place]) }
            return true
        }
        while index < end {
            let byte = bytes[index]
            index += 1
            guard byte == UInt8(ascii: "\\") else {
                out.append(byte)
                continue
            }
            guard index < end else { return false }
            let escape = bytes[index]
            index += 1
            switch escape {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(escape)
            case UInt8(ascii: "b"): out.append(0x08)
            case UInt8(ascii: "f"): out.append(0x0C)
            case UInt8(ascii: "n"): out.append(0x0A)
            case UInt8(ascii: "r"): out.append(0x0D)
            case UInt8(ascii: "t"): out.append(0x09)
            case UInt8(ascii: "u"):
                guard let scalar = scalar(bytes, &index, end) else { return false }
                out.append(contentsOf: String(scalar).utf8)
            default: return false
            }
        }
        return true
    }

    private static func scalar(_ bytes: borrowing Span<UInt8>, _ index: inout Int, _ end: Int) -> Unicode.Scalar? {
        guard let high = hex(bytes, &index, end) else { return nil }
        guard (0xD800..<0xDC00).contains(high) else { return Unicode.Scalar(high) }
        guard index + 1 < end, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u") else {
            return nil
        }
        index += 2
        guard let low = hex(bytes, &index, end), (0xDC00..<0xE000).contains(low) else { return nil }
        return Unicode.Scalar(0x1_0000 + (high - 0xD800) << 10 + (low - 0xDC00))
    }

    private static func hex(_ bytes: borrowing Span<UInt8>, _ index: inout Int, _ end: Int) -> UInt32? {
        guard index + 4 <= end else { return nil }
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[index])).hexDigitValue else { return nil }
            value = value << 4 | UInt32(digit)
            index += 1
        }
        return value
    }

    /// Appends a value as it came, without the blanks between its parts: one line, every digit kept.
    static func appendCompact(_ bytes: borrowing Span<UInt8>, _ token: JSONToken, to out: inout [UInt8]) {
        var inString = false
        var index = token.start
        while index < token.end {
            let byte = bytes[index]
            index += 1
            if inString {
                out.append(byte)
                if byte == UInt8(ascii: "\\"), index < token.end {
                    out.append(bytes[index])
                    index += 1
                } else if byte == UInt8(ascii: "\"") {
                    inString = false
                }
            } else if byte != 0x20, byte != 0x09, byte != 0x0A, byte != 0x0D {
                out.append(byte)
                inString = byte == UInt8(ascii: "\"")
            }
        }
    }
}
