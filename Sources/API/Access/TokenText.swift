import Foundation
import Runtime

/// A token before anybody looks at its signature: pure, so that it can be fuzzed without the cryptography.
package enum TokenText {
    /// Longer tokens are refused unread.
    package static let bytesMax = 8192

    /// Whether a token has three parts and its header names HS256 itself: an absent, other or `none` algorithm is
    /// refused (RFC 8725 §3.1).
    package static func isHS256(_ token: String) -> Bool {
        guard token.utf8.count <= bytesMax else { return false }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[2].isEmpty, let header = Base64Text.decode(parts[0]),
            let object = (try? JSONText.parse(header))?.object
        else { return false }
        return object["alg"]?.string == "HS256" && object["crit"] == nil
    }
}

/// Base64 as tokens and cookies use it: either alphabet, with or without padding.
package enum Base64Text {
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var standard = String(text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
        while standard.hasSuffix("=") { standard.removeLast() }
        standard += String(repeating: "=", count: (4 - standard.utf8.count % 4) % 4)
        return Data(base64Encoded: standard).map { Array($0) }
    }
}
