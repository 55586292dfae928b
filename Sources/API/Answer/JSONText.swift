import Foundation
package import Runtime

/// Reads JSON text into the house's value; refuses what RFC 8259 does not allow.
package enum JSONText {
    /// Nesting beyond this is refused before it is parsed.
    package static let depthMax = 32

    /// - Throws: `.requestInvalid` when the bytes are not one JSON document in UTF-8 (RFC 8259 §8.1) or nest too deep.
    package static func parse(_ bytes: [UInt8]) throws -> JSONValue {
        // A decoder that guesses at other encodings would count brackets differently than we do.
        guard !bytes.contains(0), String(validating: bytes, as: UTF8.self) != nil else {
            throw TallyError(.requestInvalid, during: "api.body", "the body is not a JSON document in UTF-8")
        }
        guard depth(of: bytes) <= depthMax else {
            throw TallyError(.requestInvalid, during: "api.body", "JSON nested more than \(depthMax) deep")
        }
        do {
            return try JSONDecoder().decode(JSONValue.self, from: Data(bytes))
        } catch {
            throw TallyError(.requestInvalid, during: "api.body", "the body is not a JSON document", cause: error)
        }
    }

    private static func depth(of bytes: [UInt8]) -> Int {
        var depth = 0
        var deepest = 0
        var quoted = false
        var escaped = false
        for byte in bytes {
            if quoted {
                if escaped {
                    escaped = false
                } else if byte == UInt8(ascii: "\\") {
                    escaped = true
                } else if byte == UInt8(ascii: "\"") {
                    quoted = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): quoted = true
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                depth += 1
                deepest = max(deepest, depth)
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            default: break
            }
        }
        return deepest
    }
}
