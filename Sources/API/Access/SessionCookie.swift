import Foundation
import Runtime

/// The cookie of the service replaced: `session=` base64 of `{"jwt":"…"}`.
package enum SessionCookie {
    /// The token inside the `session` cookie of a `Cookie` field, or nil when there is none to read.
    package static func token(in field: String) -> String? {
        for pair in field.split(separator: ";") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, trimmed(parts[0]) == "session" else { continue }
            let value = trimmed(parts[1]).replacingOccurrences(of: "%3D", with: "=", options: .caseInsensitive)
            guard value.utf8.count <= TokenText.bytesMax * 2, let bytes = Base64Text.decode(value),
                let token = (try? JSONText.parse(bytes))?["jwt"]?.string
            else { return nil }
            return token
        }
        return nil
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return String(text)
    }
}
