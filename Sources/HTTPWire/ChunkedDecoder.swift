/// Decodes a chunked body as its bytes arrive (RFC 9112 §7.1); extensions are skipped, trailers dropped.
package struct ChunkedDecoder: Sendable {
    private enum State {
        case size
        case data(Int)
        case dataEnd, trailer, done
    }
    private var state = State.size
    private var line: [UInt8] = []
    private let bodyMax: Int
    package private(set) var body: [UInt8] = []

    package init(bodyMax: Int) {
        self.bodyMax = bodyMax
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
                line.append(bytes[index])
                index += 1
                guard line.count <= 8_192 else { throw HTTPFailure(431, "a chunk line is too long") }
                if line.last == 10 { try endLine() }
            }
        }
        if case .done = state { return [] }
        return nil
    }

    private mutating func endLine() throws(HTTPFailure) {
        guard line.count >= 2, line[line.count - 2] == 13 else {
            throw HTTPFailure(400, "a chunk line ends in a bare LF")
        }
        let text = line.dropLast(2)
        defer { line = [] }
        guard !text.contains(13) else { throw HTTPFailure(400, "a bare CR stands in a chunk line") }
        switch state {
        case .size:
            let digits = text.prefix { $0 != UInt8(ascii: ";") && $0 != 32 && $0 != 9 }
            guard !digits.isEmpty, digits.count <= 8, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                let size = Int(String(decoding: digits, as: UTF8.self), radix: 16)
            else { throw HTTPFailure(400, "a chunk size is malformed") }
            guard body.count + size <= bodyMax else {
                throw HTTPFailure(413, "the body is larger than \(bodyMax) bytes")
            }
            state = size == 0 ? .trailer : .data(size)
        case .dataEnd:
            guard text.isEmpty else { throw HTTPFailure(400, "a chunk is longer than its size") }
            state = .size
        case .trailer: if text.isEmpty { state = .done }
        case .data, .done: break
        }
    }
}
