package import HTTPTypes

/// A request target taken apart: origin-form, absolute-form or `*` (RFC 9112 §3.2).
package struct RequestTarget: Sendable {
    /// As it was sent; for comparing, never for a log.
    package let text: String
    /// Segments, percent-decoded once; a slash at the end adds none.
    package let path: [String]
    package let query: [(String, String)]
    /// Host of an absolute-form target, which then counts instead of `Host`.
    package let authority: String?
    /// `OPTIONS *`: about the server, not about something on it.
    package let isServerWide: Bool

    package init(_ bytes: [UInt8], method: HTTPRequest.Method) throws(HTTPFailure) {
        guard bytes.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "#") }) else {
            throw HTTPFailure(400, "the request target holds a character that must be encoded")
        }
        text = String(decoding: bytes, as: UTF8.self)
        isServerWide = text == "*" && method == .options
        guard !isServerWide else {
            (path, query, authority) = ([], [], nil)
            return
        }
        var rest = text.utf8[...]
        authority = try Self.takeAuthority(&rest)
        // An absolute-form target may end after its host.
        guard rest.first == UInt8(ascii: "/") || authority != nil else {
            throw HTTPFailure(400, "the request target is malformed")
        }
        let mark = rest.firstIndex(of: UInt8(ascii: "?"))
        path = try Self.path(rest[..<(mark ?? rest.endIndex)])
        query = try mark.map { (mark) throws(HTTPFailure) in try Self.query(rest[rest.index(after: mark)...]) } ?? []
    }

    private static func takeAuthority(_ rest: inout Substring.UTF8View) throws(HTTPFailure) -> String? {
        let start = String(decoding: rest.prefix(8), as: UTF8.self).lowercased()
        let scheme = ["http://", "https://"].first { start.hasPrefix($0) }
        guard let scheme else { return nil }
        rest = rest.dropFirst(scheme.utf8.count)
        let authority = String(
            decoding: rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") },
            as: UTF8.self
        )
        guard isAuthority(authority) else { throw HTTPFailure(400, "the request target has no valid host") }
        rest = rest.dropFirst(authority.utf8.count)
        return authority
    }

    /// `host [":" port]` without user information (RFC 3986 §3.2, RFC 9110 §4.2.4); an empty host is none.
    static func isAuthority(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        if bytes.first == UInt8(ascii: "[") {
            guard let end = bytes.firstIndex(of: UInt8(ascii: "]")), end > 2 else { return false }
            let isAddress = bytes[1..<end].allSatisfy {
                hex($0) != nil || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".")
            }
            return isAddress && isPort(bytes[(end + 1)...])
        }
        let end = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.endIndex
        return end > 0 && isPort(bytes[end...])
            && bytes[..<end].allSatisfy { byte in
                switch byte {
                case 48...57, 65...90, 97...122: true
                default: "-._~%!$&'()*+,;=".utf8.contains(byte)
                }
            }
    }

    private static func isPort(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.isEmpty
            || (bytes.first == UInt8(ascii: ":") && bytes.count <= 6
                && bytes.dropFirst().allSatisfy { (48...57).contains($0) })
    }

    private static func path(_ text: Substring.UTF8View) throws(HTTPFailure) -> [String] {
        var segments: [String] = []
        for raw in text.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            let segment = try decode(raw, plusIsSpace: false)
            guard segment != ".", segment != "..", !segment.utf8.contains(where: { $0 == 47 || $0 == 0 }) else {
                throw HTTPFailure(400, "dot segments and encoded slashes are refused")
            }
            segments.append(segment)
        }
        // A trailing slash names the same thing.
        if segments.last == "" { segments.removeLast() }
        return segments
    }

    private static func query(_ text: Substring.UTF8View) throws(HTTPFailure) -> [(String, String)] {
        var pairs: [(String, String)] = []
        for pair in text.split(separator: UInt8(ascii: "&")) {
            let sides = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            let value = sides.count == 2 ? try decode(sides[1], plusIsSpace: true) : ""
            pairs.append((try decode(sides[0], plusIsSpace: true), value))
        }
        return pairs
    }

    /// Percent-decodes once; what does not decode to UTF-8 is refused.
    package static func decode(_ text: some Sequence<UInt8>, plusIsSpace: Bool) throws(HTTPFailure) -> String {
        var bytes: [UInt8] = []
        var rest = text.makeIterator()
        while let byte = rest.next() {
            if byte == UInt8(ascii: "%") {
                guard let high = rest.next().flatMap(hex), let low = rest.next().flatMap(hex) else {
                    throw HTTPFailure(400, "a percent sign is not followed by two hex digits")
                }
                bytes.append(high << 4 | low)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? 32 : byte)
            }
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw HTTPFailure(400, "the request target is not UTF-8")
        }
        return decoded
    }

    /// The value of a hex digit.
    static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }
}
