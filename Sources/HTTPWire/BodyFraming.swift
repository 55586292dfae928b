import HTTPTypes

/// How the body's end is told (RFC 9112 §6).
package enum BodyFraming: Sendable, Equatable {
    case none
    case length(Int)
    case chunked

    /// One way only to tell the body's end; anything doubtful is refused, since two readers could differ (RFC 9112
    /// §6.3).
    init(_ fields: HTTPFields, isVersion11: Bool, bodyMax: Int) throws(HTTPFailure) {
        let lengths = fields[values: .contentLength]
        let codings = fields[values: .transferEncoding]
        if !codings.isEmpty {
            guard isVersion11, lengths.isEmpty else {
                throw HTTPFailure(400, "Transfer-Encoding beside Content-Length or in HTTP/1.0")
            }
            guard codings.count == 1, codings[0].lowercased() == "chunked" else {
                throw HTTPFailure(501, "only the transfer coding chunked is known")
            }
            self = .chunked
            return
        }
        guard !lengths.isEmpty else {
            self = .none
            return
        }
        guard lengths.count == 1, !lengths[0].isEmpty, lengths[0].utf8.allSatisfy({ (48...57).contains($0) }) else {
            throw HTTPFailure(400, "Content-Length must be one whole number")
        }
        guard let length = Int(lengths[0]), length <= bodyMax else { throw HTTPFailure.bodyTooLarge(bodyMax) }
        self = .length(length)
    }
}

extension HTTPFailure {
    /// 413, with the limit in its words.
    package static func bodyTooLarge(_ max: Int) -> HTTPFailure {
        HTTPFailure(413, "the body is larger than \(max) bytes")
    }
}
