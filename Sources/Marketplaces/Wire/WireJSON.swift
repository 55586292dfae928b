import Runtime

/// A vendor's JSON as a value whose numbers stay text: money must never pass through a binary float.
package enum WireJSON: Sendable, Hashable {
    case null
    case bool(Bool)
    /// The number as it was written.
    case number(String)
    case string(String)
    case array([WireJSON])
    case object([String: WireJSON])

    package subscript(_ key: String) -> WireJSON {
        if case .object(let members) = self { members[key] ?? .null } else { .null }
    }
    package subscript(_ first: String, _ rest: String...) -> WireJSON {
        rest.reduce(self[first]) { $0[$1] }
    }
    /// The object with one member replaced; any other value as it is.
    package func with(_ name: String, _ value: WireJSON) -> WireJSON {
        guard case .object(var members) = self else { return self }
        members[name] = value
        return .object(members)
    }
    package var isNull: Bool { self == .null }
    package var string: String? { if case .string(let value) = self { value } else { nil } }
    /// Text of a string or of a number: vendors write ids either way.
    package var text: String? {
        switch self {
        case .string(let value), .number(let value): value
        default: nil
        }
    }
    package var int: Int? { text.flatMap { Int($0) } }
    package var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var array: [WireJSON]? { if case .array(let value) = self { value } else { nil } }
    package var object: [String: WireJSON]? { if case .object(let value) = self { value } else { nil } }
    /// The nodes of a connection, whichever of its two forms it has, or the plain array of REST.
    package var nodes: [WireJSON] {
        self["nodes"].array ?? self["edges"].array?.map { $0["node"] } ?? array ?? []
    }
}

extension WireJSON {
    /// Depth beyond which a document is refused.
    package static let depthMax = 96

    /// Reads one JSON document (RFC 8259).
    ///
    /// Throws `.sourceUnreachable`, which is retried: what is no JSON where JSON was promised is a cut answer or an
    /// error page of something in between. The message names the position, never the content.
    package init(parsing bytes: [UInt8]) throws {
        var parser = WireParser(bytes: bytes)
        self = try parser.document()
    }
}

private struct WireParser {
    let bytes: [UInt8]
    var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    private func refuse(_ what: String) -> TallyError {
        TallyError(.sourceUnreachable, during: "wire.parse", "the answer is not JSON at byte \(at): \(what)")
    }

    mutating func document() throws -> WireJSON {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
        let value = try value(depth: 0)
        skipSpace()
        guard at == bytes.count else { throw refuse("something follows the document") }
        return value
    }

    private mutating func skipSpace() {
        while at < bytes.count {
            switch bytes[at] {
            case 0x20, 0x0A, 0x0D, 0x09: at += 1
            default: return
            }
        }
    }

    private mutating func value(depth: Int) throws -> WireJSON {
        guard depth <= WireJSON.depthMax else { throw refuse("too deep") }
        skipSpace()
        guard at < bytes.count else { throw refuse("it ends early") }
        switch bytes[at] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return .number(try number())
        }
    }

    private mutating func word(_ word: StaticString, _ value: WireJSON) throws -> WireJSON {
        let text = "\(word)".utf8
        guard bytes[at...].starts(with: text) else { throw refuse("unknown word") }
        at += text.count
        return value
    }

    private mutating func object(depth: Int) throws -> WireJSON {
        at += 1
        var members = [String: WireJSON](minimumCapacity: 6)
        skipSpace()
        if at < bytes.count, bytes[at] == UInt8(ascii: "}") {
            at += 1
            return .object(members)
        }
        while true {
            skipSpace()
            guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { throw refuse("a key is missing") }
            let key = try string()
            skipSpace()
            guard at < bytes.count, bytes[at] == UInt8(ascii: ":") else { throw refuse("a colon is missing") }
            at += 1
            members[key] = try value(depth: depth + 1)
            if try ends(with: UInt8(ascii: "}")) { return .object(members) }
        }
    }

    private mutating func array(depth: Int) throws -> WireJSON {
        at += 1
        var elements: [WireJSON] = []
        skipSpace()
        if at < bytes.count, bytes[at] == UInt8(ascii: "]") {
            at += 1
            return .array(elements)
        }
        while true {
            elements.append(try value(depth: depth + 1))
            if try ends(with: UInt8(ascii: "]")) { return .array(elements) }
        }
    }

    /// True at the closing bracket, false behind a comma.
    private mutating func ends(with bracket: UInt8) throws -> Bool {
        skipSpace()
        guard at < bytes.count else { throw refuse("it ends early") }
        defer { at += 1 }
        if bytes[at] == bracket { return true }
        guard bytes[at] == UInt8(ascii: ",") else { throw refuse("a comma is missing") }
        return false
    }

    private mutating func number() throws -> String {
        let start = at
        func digits() throws {
            let from = at
            while at < bytes.count, (0x30...0x39).contains(bytes[at]) { at += 1 }
            guard at > from else { throw refuse("a number lacks its digits") }
        }
        if bytes[at] == UInt8(ascii: "-") { at += 1 }
        try digits()
        if at < bytes.count, bytes[at] == UInt8(ascii: ".") {
            at += 1
            try digits()
        }
        if at < bytes.count, bytes[at] | 0x20 == UInt8(ascii: "e") {
            at += 1
            if at < bytes.count, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
            try digits()
        }
        return String(decoding: bytes[start..<at], as: UTF8.self)
    }

    private mutating func string() throws -> String {
        at += 1
        let start = at
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\""):
                defer { at += 1 }
                return String(decoding: bytes[start..<at], as: UTF8.self)
            case UInt8(ascii: "\\"): return try escapedString(from: start)
            case 0..<0x20: throw refuse("a control character in a string")
            default: at += 1
            }
        }
        throw refuse("it ends inside a string")
    }

    private mutating func escapedString(from start: Int) throws -> String {
        var out = Array(bytes[start..<at])
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: out, as: UTF8.self)
            case 0..<0x20: throw refuse("a control character in a string")
            case UInt8(ascii: "\\"):
                guard at < bytes.count else { throw refuse("it ends inside a string") }
                let escape = bytes[at]
                at += 1
                switch escape {
                case UInt8(ascii: "n"): out.append(0x0A)
                case UInt8(ascii: "r"): out.append(0x0D)
                case UInt8(ascii: "t"): out.append(0x09)
                case UInt8(ascii: "b"): out.append(0x08)
                case UInt8(ascii: "f"): out.append(0x0C)
                case UInt8(ascii: "u"): out += Array(String(Character(try scalar())).utf8)
                case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(escape)
                default: throw refuse("an unknown escape")
                }
            default: out.append(byte)
            }
        }
        throw refuse("it ends inside a string")
    }

    private mutating func hex4() throws -> UInt32 {
        guard at + 4 <= bytes.count, let code = UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16)
        else { throw refuse("a bad \\u escape") }
        at += 4
        return code
    }

    /// A lone surrogate becomes U+FFFD.
    private mutating func scalar() throws -> Unicode.Scalar {
        let high = try hex4()
        if (0xD800..<0xDC00).contains(high), at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"),
            bytes[at + 1] == UInt8(ascii: "u")
        {
            let mark = at
            at += 2
            let low = try hex4()
            if (0xDC00..<0xE000).contains(low),
                let both = Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + low - 0xDC00)
            {
                return both
            }
            at = mark
        }
        return Unicode.Scalar(high) ?? "\u{FFFD}"
    }
}
