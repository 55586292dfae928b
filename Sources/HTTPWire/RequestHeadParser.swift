import HTTPTypes

/// Reads a request head from bytes as they arrive: pure, no socket, no clock (RFC 9112 §2–5).
///
/// What it refuses, it refuses with the status to answer, at the first byte that makes the head invalid. How the bytes
/// are cut into reads never changes the outcome. Cost: each byte is looked at once; memory is at most
/// `HTTPLimits.headBytes` and what the fields parsed from it need.
package struct RequestHeadParser: Sendable {
    package enum Step: Sendable {
        case needMore
        /// The head, and the bytes given to the last `feed` that follow it.
        case head(RequestHead, rest: [UInt8])
    }

    private let limits: HTTPLimits
    private var line: [UInt8] = []
    private var endsInCR = false
    private var consumed = 0
    private var requestLine: RequestLine?
    private var fields = HeaderLines()

    package init(limits: HTTPLimits = HTTPLimits()) {
        self.limits = limits
    }

    /// Whether no byte of a request has come yet; empty lines before one do not count (RFC 9112 §2.2).
    package var isEmpty: Bool { requestLine == nil && line.isEmpty }

    /// Takes bytes. After a head or an error, a new request needs a new parser.
    package mutating func feed(_ bytes: [UInt8]) throws(HTTPFailure) -> Step {
        var index = 0
        while index < bytes.count {
            index = takeText(bytes, from: index)
            guard index < bytes.count else { break }
            if let head = try take(bytes[index]) { return .head(head, rest: Array(bytes[(index + 1)...])) }
            index += 1
        }
        return .needMore
    }

    /// Takes plain text in one piece, as far as no limit can be met inside it; returns where it ends.
    private mutating func takeText(_ bytes: [UInt8], from start: Int) -> Int {
        guard !endsInCR else { return start }
        let lineRoom = requestLine == nil ? limits.requestLineBytes - line.count : .max
        let end = start + max(0, min(bytes.count - start, limits.headBytes - consumed, lineRoom))
        var index = start
        while index < end, bytes[index] > 32, bytes[index] < 127 { index += 1 }
        line += bytes[start..<index]
        consumed += index - start
        return index
    }

    private mutating func take(_ byte: UInt8) throws(HTTPFailure) -> RequestHead? {
        consumed += 1
        if consumed > limits.headBytes { throw HTTPFailure(431, "the request head is too large") }
        if byte == 10 {
            guard endsInCR else { throw HTTPFailure(400, "a line ends in a bare LF") }
            endsInCR = false
            defer { line.removeAll(keepingCapacity: true) }
            return try endLine()
        }
        guard !endsInCR else { throw HTTPFailure(400, "a bare CR stands in the head") }
        if byte == 13 {
            endsInCR = true
            return nil
        }
        if requestLine == nil {
            guard byte > 32 || (byte == 32 && !line.isEmpty), byte < 127 else {
                throw HTTPFailure(400, "the request line holds a character that is not allowed")
            }
            if line.count == limits.requestLineBytes { throw HTTPFailure(414, "the request line is too long") }
        } else if (byte < 32 && byte != 9) || byte == 127 {
            throw HTTPFailure(400, "a header field holds a control character")
        }
        line.append(byte)
        return nil
    }

    private mutating func endLine() throws(HTTPFailure) -> RequestHead? {
        guard let request = requestLine else {
            if !line.isEmpty { requestLine = try RequestLine(line) }
            return nil
        }
        if !line.isEmpty {
            try fields.add(line, max: limits.fieldsMax)
            return nil
        }
        return try Self.head(request, fields.fields, limits)
    }

    private static let hostName = HTTPField.Name("Host")
    private static let expectName = HTTPField.Name("Expect")

    private static func head(
        _ request: RequestLine,
        _ fields: HTTPFields,
        _ limits: HTTPLimits
    ) throws(HTTPFailure) -> RequestHead {
        let framing = try BodyFraming(fields, isVersion11: request.isVersion11, bodyMax: limits.bodyBytes)
        let hosts = hostName.map { fields[values: $0] } ?? []
        guard hosts.count == 1 || (hosts.isEmpty && !request.isVersion11) else {
            throw HTTPFailure(400, "Host must be given once")
        }
        let host = hosts.first ?? ""
        guard RequestTarget.isAuthority(host) || host.isEmpty else { throw HTTPFailure(400, "Host is malformed") }
        let expectations = expectName.flatMap { fields[$0] }?.lowercased()
        guard expectations == nil || expectations == "100-continue" || !request.isVersion11 else {
            throw HTTPFailure(417, "only the expectation 100-continue is known")
        }
        return RequestHead(
            method: request.method,
            target: request.target,
            fields: fields,
            host: request.target.authority ?? host,
            isVersion11: request.isVersion11,
            framing: framing,
            expectsContinue: expectations != nil && request.isVersion11
        )
    }
}

/// The first line of a request (RFC 9112 §3).
struct RequestLine: Sendable {
    let method: HTTPRequest.Method
    let target: RequestTarget
    let isVersion11: Bool

    /// Exactly one space between the parts: a lenient split is how two readers come to differ.
    init(_ line: [UInt8]) throws(HTTPFailure) {
        let parts = line.split(separator: 32, omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[1].isEmpty,
            let method = HTTPRequest.Method(rawValue: String(decoding: parts[0], as: UTF8.self))
        else { throw HTTPFailure(400, "the request line is malformed") }
        switch String(decoding: parts[2], as: UTF8.self) {
        case "HTTP/1.1": isVersion11 = true
        case "HTTP/1.0": isVersion11 = false
        case let version where Self.isVersion(version):
            throw HTTPFailure(505, "only HTTP/1.1 and HTTP/1.0 are spoken")
        default: throw HTTPFailure(400, "the request line is malformed")
        }
        guard method != .connect else { throw HTTPFailure(501, "this server is no proxy") }
        self.method = method
        target = try RequestTarget(Array(parts[1]), method: method)
    }

    private static func isVersion(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return text.hasPrefix("HTTP/") && bytes.count == 8 && bytes[6] == UInt8(ascii: ".")
            && (48...57).contains(bytes[5]) && (48...57).contains(bytes[7])
    }
}

/// Field lines, one at a time, of a head or of a chunked body's trailer (RFC 9112 §5).
struct HeaderLines: Sendable {
    private(set) var fields = HTTPFields()
    private var count = 0

    /// Takes one line without its CRLF; control characters were refused before.
    mutating func add(_ line: [UInt8], max: Int) throws(HTTPFailure) {
        count += 1
        guard count <= max else { throw HTTPFailure(431, "too many header fields") }
        guard line.first != 32, line.first != 9 else { throw HTTPFailure(400, "a folded header field is refused") }
        guard let colon = line.firstIndex(of: 58),
            let name = HTTPField.Name(String(decoding: line[..<colon], as: UTF8.self))
        else { throw HTTPFailure(400, "a header field is malformed") }
        var value = line[(colon + 1)...]
        while value.first == 32 || value.first == 9 { value = value.dropFirst() }
        while value.last == 32 || value.last == 9 { value = value.dropLast() }
        // As bytes, so that one which is not UTF-8 stays what it is.
        fields.append(HTTPField(name: name, value: value))
    }
}
