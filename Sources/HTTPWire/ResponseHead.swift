package import HTTPTypes

/// Writes a response head as bytes (RFC 9112 §4).
package enum ResponseHead {
    /// Status line, fields, empty line. Values cannot hold CR, LF or NUL: `HTTPField` admits none.
    ///
    /// - Parameters:
    ///   - left: fields that are not written.
    ///   - shared: whole lines, each with its CRLF, written after the fields; the caller answers for their form.
    ///   - lines: more such lines.
    ///   - room: bytes that the caller will append.
    package static func bytes(
        _ status: HTTPResponse.Status,
        _ fields: HTTPFields,
        leaving left: [HTTPField.Name] = [],
        shared: [UInt8] = [],
        lines: String = "",
        room: Int = 0
    ) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(512 + shared.count + room)
        if status.code == 200, status.reasonPhrase == "OK" {
            bytes += okLine
        } else {
            bytes += "HTTP/1.1 ".utf8
            bytes += String(status.code).utf8
            bytes.append(32)
            bytes += (status.reasonPhrase.isEmpty ? (phrases[status.code] ?? "") : status.reasonPhrase).utf8
            bytes += crlf
        }
        for field in fields where !left.contains(field.name) {
            bytes += field.name.rawName.utf8
            bytes += [58, 32]
            bytes += field.value.utf8
            bytes += crlf
        }
        bytes += shared
        bytes += lines.utf8
        bytes += crlf
        return bytes
    }

    private static let okLine = Array("HTTP/1.1 200 OK\r\n".utf8)
    private static let crlf: [UInt8] = [13, 10]

    /// A status made from a bare code has no phrase of its own.
    private static let phrases: [Int: String] = Dictionary(
        [
            .ok, .created, .accepted, .noContent, .notModified, .badRequest, .unauthorized, .forbidden, .notFound,
            .methodNotAllowed, .notAcceptable, .requestTimeout, .conflict, .gone, .contentTooLarge, .uriTooLong,
            .unsupportedMediaType, .expectationFailed, .misdirectedRequest, .unprocessableContent, .tooManyRequests,
            .requestHeaderFieldsTooLarge, .internalServerError, .notImplemented, .serviceUnavailable,
            .httpVersionNotSupported,
        ].map { (status: HTTPResponse.Status) in (status.code, status.reasonPhrase) },
        uniquingKeysWith: { first, _ in first }
    )
}

/// Writes the chunks of a body whose length is not known beforehand (RFC 9112 §7.1).
package enum ChunkedEncoder {
    /// One chunk; empty bytes make none, since an empty chunk would end the body.
    package static func chunk(_ bytes: [UInt8]) -> [UInt8] {
        guard !bytes.isEmpty else { return [] }
        return Array((String(bytes.count, radix: 16) + "\r\n").utf8) + bytes + [13, 10]
    }

    /// What ends the body, without trailers.
    package static let end = Array("0\r\n\r\n".utf8)
}
