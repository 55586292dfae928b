/// A webhook as it came: header names in lower case, the body byte by byte.
package struct HookDelivery: Sendable {
    package let headers: [String: String]
    package let body: [UInt8]

    package init(headers: [String: String], body: [UInt8]) {
        self.headers = headers
        self.body = body
    }
}

/// What became of a webhook.
package enum HookOutcome: Sendable, Equatable {
    case kept, duplicate
    /// The signature is not that of a configured shop.
    case unsigned
    /// Signed, but too old or without what makes it usable; the reason is safe to show.
    case refused(String)
}
