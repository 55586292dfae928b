package import HTTPTypes

/// A request's line and fields, as they came and checked.
package struct RequestHead: Sendable {
    package let method: HTTPRequest.Method
    /// Path segments, percent-decoded once.
    package let path: [String]
    package let query: [(String, String)]
    package let fields: HTTPFields
    package let host: String
    /// HTTP/1.1; false for HTTP/1.0.
    package let isVersion11: Bool
    package let framing: BodyFraming

    /// Whether the connection may carry another request after this one (RFC 9112 §9.3).
    package var keepsAlive: Bool {
        let tokens = (fields[.connection] ?? "").split(separator: ",").map { $0.filter { $0 != " " }.lowercased() }
        if tokens.contains("close") { return false }
        return isVersion11 || tokens.contains("keep-alive")
    }

    package var expectsContinue: Bool {
        isVersion11 && HTTPField.Name("Expect").flatMap { fields[$0] }?.lowercased() == "100-continue"
    }
}

/// How the body's end is told (RFC 9112 §6).
package enum BodyFraming: Sendable, Equatable {
    case none
    case length(Int)
    case chunked
}
