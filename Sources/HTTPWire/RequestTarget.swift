package import HTTPTypes

/// A request target taken apart: origin-form, absolute-form or `*` (RFC 9112 §3.2).
package struct RequestTarget: Sendable {
    package let path: [String]
    package let query: [(String, String)]
    /// Host of an absolute-form target, which then counts instead of `Host`.
    package let authority: String?

    package init(_ bytes: [UInt8], method: HTTPRequest.Method) throws(HTTPFailure) {
        guard bytes.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "#") }) else {
            throw HTTPFailure(400, "the request target holds a character that must be encoded")
        }
        var text = String(decoding: bytes, as: UTF8.self)[...]
        var authority: String?
        if text == "*", method == .options {
            path = []
            query = []
            self.authority = nil
            return
        }
        if text.lowercased().hasPrefix("http://") || text.lowercased().hasPrefix("https://") {
            let rest = text[text.index(text.firstIndex(of: ":") ?? text.startIndex, offsetBy: 3)...]
            authority = String(rest.prefix { $0 != "/" && $0 != "?" })
            guard authority?.isEmpty == false, authority?.contains("@") == false else {
                throw HTTPFailure(400, "the request target has no valid host")
            }
            text = rest.drop { $0 != "/" && $0 != "?" }
            if text.first != "/" { text = "/" + text }
        }
        guard text.first == "/" else { throw HTTPFailure(400, "the request target is malformed") }
        let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var segments: [String] = []
        for raw in parts[0].dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            let segment = try Self.decode(raw, plusIsSpace: false)
            guard segment != ".", segment != "..", !segment.contains("/"), !segment.contains("\0") else {
                throw HTTPFailure(400, "dot segments and encoded slashes are refused")
            }
            segments.append(segment)
        }
        // A trailing slash names the same thing.
        if segments.last == "" { segments.removeLast() }
        path = segments
        var pairs: [(String, String)] = []
        if parts.count == 2 {
            for pair in parts[1].split(separator: "&") {
                let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                pairs.append(
                    (
                        try Self.decode(sides[0], plusIsSpace: true),
                        sides.count == 2 ? try Self.decode(sides[1], plusIsSpace: true) : ""
                    )
                )
            }
        }
        query = pairs
        self.authority = authority
    }

    /// Percent-decodes once; what does not decode to UTF-8 is refused.
    static func decode(_ text: Substring, plusIsSpace: Bool) throws(HTTPFailure) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard let high = rest.popFirst().flatMap(hex), let low = rest.popFirst().flatMap(hex) else {
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

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }
}
