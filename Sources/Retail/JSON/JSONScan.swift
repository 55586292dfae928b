/// What is wrong with bytes that should be JSON, and where.
struct JSONFlaw: Error, Equatable {
    let reason: StaticReason
    let offset: Int

    enum StaticReason: String, Sendable {
        case truncated = "it ends too early"
        case unexpected = "a character that JSON does not allow there"
        case number = "a number that is none in JSON"
        case text = "text that is not UTF-8, or a bad escape"
        case depth = "it is nested too deeply"
        case notObject = "it is no object"
        case trailing = "something follows the value"
    }
}

/// One JSON value within a run of bytes: its kind and where it stands, quotes included.
struct JSONToken: Equatable {
    enum Kind { case string, number, object, array, truth, falsehood, null }
    let kind: Kind
    let start: Int
    let end: Int
    /// A string with a backslash in it.
    var isEscaped = false
}

/// Finds values in JSON text (RFC 8259) without building objects: numbers keep every digit they came with.
enum JSONScan {
    static let depthMax = 64

    /// The value at `index`, which moves behind it; blanks before it are skipped.
    static func value(_ bytes: borrowing Span<UInt8>, _ index: inout Int, depth: Int = 0) throws(JSONFlaw) -> JSONToken
    {
        skipBlanks(bytes, &index)
        guard index < bytes.count else { throw JSONFlaw(reason: .truncated, offset: index) }
        switch bytes[index] {
        case UInt8(ascii: "\""): return try string(bytes, &index)
        case UInt8(ascii: "{"):
            let start = index
            try members(bytes, &index, depth: depth) { (_, _) throws(JSONFlaw) in }
            return JSONToken(kind: .object, start: start, end: index)
        case UInt8(ascii: "["):
            let start = index
            try elements(bytes, &index, depth: depth) { _ throws(JSONFlaw) in }
            return JSONToken(kind: .array, start: start, end: index)
        case UInt8(ascii: "t"): return try word(bytes, &index, "true", .truth)
        case UInt8(ascii: "f"): return try word(bytes, &index, "false", .falsehood)
        case UInt8(ascii: "n"): return try word(bytes, &index, "null", .null)
        default: return try number(bytes, &index)
        }
    }

    /// Every member of the object at `index` as (key, value), in the order of the text.
    static func members(
        _ bytes: borrowing Span<UInt8>,
        _ index: inout Int,
        depth: Int = 0,
        _ body: (JSONToken, JSONToken) throws(JSONFlaw) -> Void
    ) throws(JSONFlaw) {
        try open(bytes, &index, UInt8(ascii: "{"), depth)
        if try closes(bytes, &index, UInt8(ascii: "}")) { return }
        while true {
            skipBlanks(bytes, &index)
            let key = try string(bytes, &index)
            try expect(bytes, &index, UInt8(ascii: ":"))
            let value = try value(bytes, &index, depth: depth + 1)
            try body(key, value)
            if try closes(bytes, &index, UInt8(ascii: "}")) { return }
            try expect(bytes, &index, UInt8(ascii: ","))
        }
    }

    /// Every element of the array at `index`.
    static func elements(
        _ bytes: borrowing Span<UInt8>,
        _ index: inout Int,
        depth: Int = 0,
        _ body: (JSONToken) throws(JSONFlaw) -> Void
    ) throws(JSONFlaw) {
        try open(bytes, &index, UInt8(ascii: "["), depth)
        if try closes(bytes, &index, UInt8(ascii: "]")) { return }
        while true {
            try body(try value(bytes, &index, depth: depth + 1))
            if try closes(bytes, &index, UInt8(ascii: "]")) { return }
            try expect(bytes, &index, UInt8(ascii: ","))
        }
    }

    /// Throws unless only blanks are left.
    static func end(_ bytes: borrowing Span<UInt8>, _ index: inout Int) throws(JSONFlaw) {
        skipBlanks(bytes, &index)
        guard index == bytes.count else { throw JSONFlaw(reason: .trailing, offset: index) }
    }

    private static func open(
        _ bytes: borrowing Span<UInt8>,
        _ index: inout Int,
        _ bracket: UInt8,
        _ depth: Int
    ) throws(JSONFlaw) {
        guard depth < depthMax else { throw JSONFlaw(reason: .depth, offset: index) }
        try expect(bytes, &index, bracket)
    }

    private static func closes(_ bytes: borrowing Span<UInt8>, _ index: inout Int, _ bracket: UInt8) throws(JSONFlaw)
        -> Bool
    {
        skipBlanks(bytes, &index)
        guard index < bytes.count else { throw JSONFlaw(reason: .truncated, offset: index) }
        guard bytes[index] == bracket else { return false }
        index += 1
        return true
    }

    private static func expect(_ bytes: borrowing Span<UInt8>, _ index: inout Int, _ byte: UInt8) throws(JSONFlaw) {
        skipBlanks(bytes, &index)
        guard index < bytes.count else { throw JSONFlaw(reason: .truncated, offset: index) }
        guard bytes[index] == byte else { throw JSONFlaw(reason: .unexpected, offset: index) }
        index += 1
    }

    private static func skipBlanks(_ bytes: borrowing Span<UInt8>, _ index: inout Int) {
        while index < bytes.count {
            switch bytes[index] {
            case 0x20, 0x09, 0x0A, 0x0D: index += 1
            default: return
            }
        }
    }

    private static func word(
        _ bytes: borrowing Span<UInt8>,
        _ index: inout Int,
        _ word: StaticString,
        _ kind: JSONToken.Kind
    ) throws(JSONFlaw) -> JSONToken {
        let start = index
        for scalar in "\(word)".utf8 {
            guard index < bytes.count else { throw JSONFlaw(reason: .truncated, offset: index) }
            guard bytes[index] == scalar else { throw JSONFlaw(reason: .unexpected, offset: index) }
            index += 1
        }
        return JSONToken(kind: kind, start: start, end: index)
    }

    private static func string(_ bytes: borrowing Span<UInt8>, _ index: inout Int) throws(JSONFlaw) -> JSONToken {
        let start = index
        guard index < bytes.count else { throw JSONFlaw(reason: .truncated, offset: index) }
        guard bytes[index] == UInt8(ascii: "\"") else { throw JSONFlaw(reason: .unexpected, offset: index) }
        index += 1
        var escaped = false
        var wide = false
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "\"") {
                if wide { try UTF8Check.check(bytes, start + 1, index - 1) }
                return JSONToken(kind: .string, start: start, end: index, isEscaped: escaped)
            }
            if byte == UInt8(ascii: "\\") {
                escaped = true
                index += 1
            } else if byte < 0x20 {
                throw JSONFlaw(reason: .unexpected, offset: index - 1)
            } else if byte >= 0x80 {
                wide = true
            }
        }
        throw JSONFlaw(reason: .truncated, offset: bytes.count)
    }

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    private static func number(_ bytes: borrowing Span<UInt8>, _ index: inout Int) throws(JSONFlaw) -> JSONToken {
        let start = index
        if bytes[index] == UInt8(ascii: "-") { index += 1 }
        let first = index
        guard digits(bytes, &index) > 0 else {
            throw JSONFlaw(reason: index < bytes.count ? .unexpected : .truncated, offset: index)
        }
        if bytes[first] == UInt8(ascii: "0"), index - first > 1 { throw JSONFlaw(reason: .number, offset: first) }
        if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            index += 1
            guard digits(bytes, &index) > 0 else { throw JSONFlaw(reason: .number, offset: index) }
        }
        if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") {
            index += 1
            if index < bytes.count, bytes[index] == UInt8(ascii: "+") || bytes[index] == UInt8(ascii: "-") {
                index += 1
            }
            guard digits(bytes, &index) > 0 else { throw JSONFlaw(reason: .number, offset: index) }
        }
        return JSONToken(kind: .number, start: start, end: index)
    }

    private static func digits(_ bytes: borrowing Span<UInt8>, _ index: inout Int) -> Int {
        let start = index
        while index < bytes.count, bytes[index] &- 48 < 10 { index += 1 }
        return index - start
    }
}
