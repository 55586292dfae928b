/// Ceilings on what a client may send.
package struct HTTPLimits: Sendable, Equatable {
    package var requestLineBytes = 8 * 1_024
    package var headBytes = 16 * 1_024
    package var fieldsMax = 100
    package var bodyBytes = 1 << 20

    package init() {}
}

/// Why a request is refused before any handler sees it; the status is what the client is told.
package struct HTTPFailure: Error, Sendable, Equatable {
    package let status: Int
    package let reason: String
    /// Methods for `Allow`, with 405.
    package let allow: [String]

    package init(_ status: Int, _ reason: String, allow: [String] = []) {
        self.status = status
        self.reason = reason
        self.allow = allow
    }
}
