import HTTPTypes

/// Reads a request head from bytes as they arrive: pure, no socket, no clock (RFC 9112 §2–5).
///
/// What it refuses, it refuses with the status to answer. How the bytes are cut into reads never changes the outcome.
package struct RequestHeadParser: Sendable {
    package enum Step: Sendable {
        case needMore
        /// The head, and how many of the bytes given to the last `feed` belong to what follows it.
        case head(RequestHead, rest: [UInt8])
    }

    private let limits: HTTPLimits
    private var buffer: [UInt8] = []
    private var scanned = 0

    package init(limits: HTTPLimits = HTTPLimits()) {
        self.limits = limits
    }

    package var isEmpty: Bool { buffer.isEmpty }

    package mutating func feed(_ bytes: [UInt8]) throws(HTTPFailure) -> Step {
        buffer += bytes
        // Empty lines before the request line are allowed (RFC 9112 §2.2); a few, not for ever.
        while buffer.starts(with: [13, 10]), scanned == 0 { buffer.removeFirst(2) }
        while scanned < buffer.count {
            if buffer[scanned] == 10 {
                guard scanned > 0, buffer[scanned - 1] == 13 else { throw HTTPFailure(400, "a line ends in a bare LF") }
                if scanned >= 3, buffer[scanned - 2] == 10 {
                    let end = scanned + 1
                    try checkSize(end)
                    let head = try Self.parse(Array(buffer[..<end]), limits)
                    let rest = Array(buffer[end...])
                    buffer = []
                    scanned = 0
                    return .head(head, rest: rest)
                }
            }
            scanned += 1
        }
        try checkSize(buffer.count)
        return .needMore
    }

    private func checkSize(_ count: Int) throws(HTTPFailure) {
        let line = buffer.firstIndex(of: 10) ?? buffer.count
        if line > limits.requestLineBytes { throw HTTPFailure(414, "the request line is too long") }
        if count > limits.headBytes { throw HTTPFailure(431, "the request head is too large") }
    }

    private static func parse(_ bytes: [UInt8], _ limits: HTTPLimits) throws(HTTPFailure) -> RequestHead {
        var lines: [ArraySlice<UInt8>] = []
        var start = 0
        for index in bytes.indices where bytes[index] == 10 {
            lines.append(bytes[start..<(index - 1)])
            start = index + 1
        }
        for line in lines where line.contains(13) || line.contains(0) {
            throw HTTPFailure(400, "a bare CR or NUL stands in the head")
        }
        let (method, target, isVersion11) = try requestLine(lines[0])
        let fields = try fields(lines[1..<(lines.count - 1)], limits)
        let framing = try framing(fields, isVersion11, limits)
        let parsed = try RequestTarget(target, method: method)
        let hosts = HTTPField.Name("Host").map { fields[values: $0] } ?? []
        guard hosts.count == 1 || (hosts.isEmpty && !isVersion11) else {
            throw HTTPFailure(400, "Host must be given once")
        }
        return RequestHead(
            method: method,
            path: parsed.path,
            query: parsed.query,
            fields: fields,
            host: parsed.authority ?? hosts.first ?? "",
            isVersion11: isVersion11,
            framing: framing
        )
    }

    private static func requestLine(
        _ line: ArraySlice<UInt8>
    ) throws(HTTPFailure) -> (HTTPRequest.Method, [UInt8], Bool) {
        let parts = line.split(separator: 32, omittingEmptySubsequences: false)
        guard parts.count == 3, let method = HTTPRequest.Method(rawValue: String(decoding: parts[0], as: UTF8.self)),
            !parts[1].isEmpty
        else { throw HTTPFailure(400, "the request line is malformed") }
        switch String(decoding: parts[2], as: UTF8.self) {
        case "HTTP/1.1": return (method, Array(parts[1]), true)
        case "HTTP/1.0": return (method, Array(parts[1]), false)
        case let version where version.hasPrefix("HTTP/"):
            throw HTTPFailure(505, "only HTTP/1.1 and HTTP/1.0 are spoken")
        default: throw HTTPFailure(400, "the request line is malformed")
        }
    }

    private static func fields(
        _ lines: ArraySlice<ArraySlice<UInt8>>,
        _ limits: HTTPLimits
    ) throws(HTTPFailure) -> HTTPFields {
        guard lines.count <= limits.fieldsMax else { throw HTTPFailure(431, "too many header fields") }
        var fields = HTTPFields()
        for line in lines {
            if line.first == 32 || line.first == 9 { throw HTTPFailure(400, "a folded header field is refused") }
            guard let colon = line.firstIndex(of: 58), colon > line.startIndex,
                let name = HTTPField.Name(String(decoding: line[..<colon], as: UTF8.self))
            else { throw HTTPFailure(400, "a header field is malformed") }
            var value = line[(colon + 1)...]
            while value.first == 32 || value.first == 9 { value = value.dropFirst() }
            while value.last == 32 || value.last == 9 { value = value.dropLast() }
            guard !value.contains(where: { ($0 < 32 && $0 != 9) || $0 == 127 }) else {
                throw HTTPFailure(400, "a header field holds a control character")
            }
            fields.append(HTTPField(name: name, value: String(decoding: value, as: UTF8.self)))
        }
        return fields
    }

    /// One way only to tell the body's end; anything doubtful is refused, since two readers could differ (RFC 9112
    /// §6.3).
    private static func framing(
        _ fields: HTTPFields,
        _ isVersion11: Bool,
        _ limits: HTTPLimits
    ) throws(HTTPFailure) -> BodyFraming {
        let lengths = fields[values: .contentLength]
        let codings = fields[values: .transferEncoding]
        if !codings.isEmpty {
            guard isVersion11, lengths.isEmpty else {
                throw HTTPFailure(400, "Transfer-Encoding beside Content-Length or in HTTP/1.0")
            }
            guard codings.count == 1, codings[0].lowercased() == "chunked" else {
                throw HTTPFailure(501, "only the transfer coding chunked is known")
            }
            return .chunked
        }
        guard !lengths.isEmpty else { return .none }
        guard lengths.count == 1, !lengths[0].isEmpty, lengths[0].utf8.allSatisfy({ (48...57).contains($0) }),
            let length = Int(lengths[0])
        else { throw HTTPFailure(400, "Content-Length must be one whole number") }
        guard length <= limits.bodyBytes else {
            throw HTTPFailure(413, "the body is larger than \(limits.bodyBytes) bytes")
        }
        return .length(length)
    }
}
