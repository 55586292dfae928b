package import HTTPTypes

/// A request's line and fields, as they came and checked.
package struct RequestHead: Sendable {
    package let method: HTTPRequest.Method
    package let target: RequestTarget
    package let fields: HTTPFields
    /// The host of the target when it has one, else of `Host`; empty when HTTP/1.0 gave none.
    package let host: String
    /// HTTP/1.1; false for HTTP/1.0.
    package let isVersion11: Bool
    package let framing: BodyFraming
    /// The client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    package let expectsContinue: Bool

    /// Path segments, percent-decoded once.
    package var path: [String] { target.path }
    package var query: [(String, String)] { target.query }

    /// Whether the connection may carry another request after this one (RFC 9112 §9.3). HTTP/1.0 never does: its
    /// `keep-alive` is not told apart from one that a proxy passed on by mistake.
    package var keepsAlive: Bool {
        guard isVersion11 else { return false }
        let options = (fields[.connection] ?? "").utf8.split { $0 == 44 || $0 == 32 || $0 == 9 }
        return !options.contains { String(decoding: $0, as: UTF8.self).lowercased() == "close" }
    }
}
