/// Decodes a chunked body as its bytes arrive (RFC 9112 §7.1); extensions are skipped, trailers checked and dropped.
///
/// How the bytes are cut into reads never changes the outcome. All that is not body (sizes, extensions, trailers) may
/// take `HTTPLimits.headBytes`, besides 16 bytes for each chunk: a body of tiny chunks in long lines is refused.
package struct ChunkedDecoder: Sendable {
    private enum State {
        case size
        case data(Int)
        case dataEnd, trailer, done
    }
    private var state = State.size
    private var line: [UInt8] = []
    private var endsInCR = false
    private var overhead = 0
    private var trailer = HeaderLines()
    private let limits: HTTPLimits
    private let bodyMax: Int
    package private(set) var body: [UInt8] = []

    /// - Parameter bodyMax: bytes; the limits' own when nil.
    package init(limits: HTTPLimits = HTTPLimits(), bodyMax: Int? = nil) {
        self.limits = limits
        self.bodyMax = bodyMax ?? limits.bodyBytes
    }

    /// Takes bytes; nil while the body goes on, else what follows its end.
    package mutating func feed(_ bytes: [UInt8]) throws(HTTPFailure) -> [UInt8]? {
        var index = 0
        while index < bytes.count {
            switch state {
            case .done: return Array(bytes[index...])
            case .data(let left):
                let count = min(left, bytes.count - index)
                body += bytes[index..<(index + count)]
                index += count
                state = count == left ? .dataEnd : .data(left - count)
            case .size, .dataEnd, .trailer:
                try take(bytes[index])
                index += 1
            }
        }
        if case .done = state { return [] }
        return nil
    }

    private mutating func take(_ byte: UInt8) throws(HTTPFailure) {
        if byte == 10 {
            guard endsInCR else { throw HTTPFailure(400, "a chunk line ends in a bare LF") }
            endsInCR = false
            defer { line.removeAll(keepingCapacity: true) }
            return try endLine()
        }
        guard !endsInCR else { throw HTTPFailure(400, "a bare CR stands in a chunk line") }
        if byte == 13 {
            endsInCR = true
            return
        }
        if case .dataEnd = state { throw HTTPFailure(400, "a chunk is longer than its size") }
        guard byte >= 32 || byte == 9, byte != 127 else {
            throw HTTPFailure(400, "a chunk line holds a control character")
        }
        line.append(byte)
        if line.count > 16 { overhead += line.count == 17 ? 17 : 1 }
        guard overhead <= limits.headBytes else { throw HTTPFailure(431, "the chunk lines are too long") }
    }

    private mutating func endLine() throws(HTTPFailure) {
        switch state {
        case .size:
            let size = try Self.size(line)
            guard size <= bodyMax - body.count else { throw HTTPFailure.bodyTooLarge(bodyMax) }
            state = size == 0 ? .trailer : .data(size)
        case .dataEnd: state = .size
        case .trailer:
            if line.isEmpty {
                state = .done
            } else {
                try trailer.add(line, max: limits.fieldsMax)
            }
        case .data, .done: break
        }
    }

    /// Hex digits, then an extension or nothing; blanks only at the very end.
    private static func size(_ line: [UInt8]) throws(HTTPFailure) -> Int {
        let malformed = HTTPFailure(400, "a chunk size is malformed")
        var size = 0
        var digits = 0
        while digits < line.count, let digit = RequestTarget.hex(line[digits]) {
            guard digits < 16, size < 1 << 56 else { throw malformed }
            size = size << 4 | Int(digit)
            digits += 1
        }
        let rest = line[digits...]
        guard digits > 0, rest.first == UInt8(ascii: ";") || rest.allSatisfy({ $0 == 32 || $0 == 9 }) else {
            throw malformed
        }
        return size
    }
}
