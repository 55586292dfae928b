/// COPY's text form: tabs between fields, a newline behind each row, backslashes before what would be taken for one.
enum CopyText {
    private static let backslash = UInt8(ascii: "\\")
    private static let escapes: [UInt8: UInt8] = [
        UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13,
        UInt8(ascii: "t"): 9, UInt8(ascii: "v"): 11,
    ]
    private static let named: [UInt8: UInt8] = [
        8: UInt8(ascii: "b"), 12: UInt8(ascii: "f"), 10: UInt8(ascii: "n"), 13: UInt8(ascii: "r"),
        9: UInt8(ascii: "t"), 11: UInt8(ascii: "v"), backslash: backslash,
    ]

    /// The fields of one row, still escaped; the newline at its end belongs to none.
    static func fields(_ row: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        let line = row.last == 10 ? row.dropLast() : row
        return line.split(separator: 9, omittingEmptySubsequences: false)
    }

    /// What `COPY TO` escaped: it writes no octal or hexadecimal escapes.
    static func unescape(_ field: ArraySlice<UInt8>) -> [UInt8] {
        guard field.contains(backslash) else { return Array(field) }
        var out: [UInt8] = []
        out.reserveCapacity(field.count)
        var isEscaped = false
        for byte in field {
            if isEscaped {
                out.append(escapes[byte] ?? byte)
                isEscaped = false
            } else if byte == backslash {
                isEscaped = true
            } else {
                out.append(byte)
            }
        }
        return out
    }

    /// One row of `fields`, nil being NULL.
    static func row(_ fields: [String?], into out: inout [UInt8]) {
        for (index, field) in fields.enumerated() {
            if index > 0 { out.append(9) }
            guard let field else {
                out += [backslash, UInt8(ascii: "N")]
                continue
            }
            for byte in field.utf8 {
                if let name = named[byte] {
                    out += [backslash, name]
                } else {
                    out.append(byte)
                }
            }
        }
        out.append(10)
    }
}
