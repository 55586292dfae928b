/// Refuses what a browser sends on behalf of another site: pure decisions over a request's fields.
package struct BrowserGuard: Sendable {
    package enum Verdict: Sendable, Equatable {
        case ownSite
        case otherSite
        /// No browser said anything about where the request came from.
        case unknown
    }

    let corsOrigins: Set<String>

    package init(corsOrigins: [String]) {
        self.corsOrigins = Set(corsOrigins)
    }

    /// Where a request comes from, by `Origin` first and Fetch Metadata second.
    package func verdict(origin: String?, fetchSite: String?, host: String?) -> Verdict {
        if let origin {
            if corsOrigins.contains(origin) { return .ownSite }
            guard let authority = Self.authority(ofOrigin: origin), let host else { return .otherSite }
            return authority == host.lowercased() ? .ownSite : .otherSite
        }
        switch fetchSite {
        case nil: return .unknown
        case "same-origin": return .ownSite
        case "none": return .unknown
        default: return .otherSite
        }
    }

    /// Whether a `Host` field names this machine itself: what a page reached through DNS rebinding cannot send.
    package static func isLoopback(host: String?) -> Bool {
        guard let host, !host.isEmpty else { return false }
        // What almost every request says, told without a copy.
        let plain = host.prefix { $0 != ":" }
        if plain == "localhost" || plain == "127.0.0.1" {
            return plain.endIndex == host.endIndex || isPort(host[plain.endIndex...])
        }
        var name = host.lowercased()
        if name.hasPrefix("[") {
            guard let end = name.firstIndex(of: "]") else { return false }
            let rest = name[name.index(after: end)...]
            guard rest.isEmpty || isPort(rest) else { return false }
            return name[..<end].dropFirst() == "::1"
        }
        if let colon = name.firstIndex(of: ":") {
            guard isPort(name[colon...]) else { return false }
            name = String(name[..<colon])
        }
        if name == "localhost" { return true }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    private static func isPort(_ text: Substring) -> Bool {
        text.first == ":" && UInt16(text.dropFirst()) != nil
    }

    private static func authority(ofOrigin origin: String) -> String? {
        for (scheme, port) in [("http://", ":80"), ("https://", ":443")] where origin.lowercased().hasPrefix(scheme) {
            let authority = origin.lowercased().dropFirst(scheme.count)
            guard !authority.isEmpty, !authority.contains("/") else { return nil }
            return authority.hasSuffix(port) ? String(authority.dropLast(port.count)) : String(authority)
        }
        return nil
    }
}
