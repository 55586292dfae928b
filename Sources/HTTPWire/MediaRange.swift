/// Media types as `Content-Type` and `Accept` name them (RFC 9110 §8.3.1, §12.5.1).
package enum MediaRange {
    /// The type of a `Content-Type` in lower case, without its parameters; nil when it is none.
    package static func type(of contentType: String) -> String? {
        let text = trimmed(contentType.prefix { $0 != ";" }).lowercased()
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy { !$0.isEmpty } ? text : nil
    }

    /// Whether `accept` admits `type`: the most specific range that matches decides; none, or weight 0, refuses.
    package static func admits(_ type: String, accept: String?) -> Bool {
        guard let accept, !trimmed(accept[...]).isEmpty else { return true }
        let major = type.prefix { $0 != "/" }
        var best: (rank: Int, isAdmitted: Bool) = (-1, false)
        for range in accept.lowercased().split(separator: ",") {
            let parts = range.split(separator: ";").map { trimmed($0) }
            let rank = ["*/*", "\(major)/*", type].firstIndex { $0 == parts.first }
            guard let rank, rank > best.rank else { continue }
            let weight = parts.dropFirst().first { $0.hasPrefix("q=") }?.dropFirst(2)
            best = (rank, weight.map { $0.contains { $0 != "0" && $0 != "." } } ?? true)
        }
        return best.isAdmitted
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return String(text)
    }
}
