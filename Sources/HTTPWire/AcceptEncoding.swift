/// Content codings as `Accept-Encoding` names them (RFC 9110 §12.5.3).
package enum AcceptEncoding {
    /// Whether a client asked for `coding`: named with a weight above 0, or covered by `*`. Without the field nothing
    /// is compressed, though the standard would allow it: a client that did not ask may not be able to read it.
    package static func asks(for coding: String, _ field: String?) -> Bool {
        var isAsked = false
        for entry in (field ?? "").lowercased().split(separator: ",") {
            let parts = entry.split(separator: ";").map { String($0).filter { $0 != " " && $0 != "\t" } }
            guard let name = parts.first else { continue }
            let weight = parts.dropFirst().first { $0.hasPrefix("q=") }?.dropFirst(2)
            let isAdmitted = weight.map { $0.contains { $0 != "0" && $0 != "." } } ?? true
            if name == coding || name == "x-\(coding)" { return isAdmitted }
            if name == "*" { isAsked = isAdmitted }
        }
        return isAsked
    }
}
