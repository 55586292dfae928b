import HTTPTypes
import HTTPWire

/// What our parser makes of bytes, in a form that can be compared.
enum ParsedRequest: Equatable {
    case refused(HTTPFailure)
    case more
    case request(method: String, target: String, version: String, fields: [String], body: [UInt8], rest: [UInt8])

    /// - Parameter pieces: the bytes, cut somehow.
    init(_ pieces: [[UInt8]]) {
        do {
            self = try Self.parse(pieces)
        } catch {
            self = .refused(error)
        }
    }

    private static func parse(_ pieces: [[UInt8]]) throws(HTTPFailure) -> ParsedRequest {
        var pieces = pieces[...]
        var parser = RequestHeadParser()
        while let piece = pieces.popFirst() {
            guard case .head(let head, let rest) = try parser.feed(piece) else { continue }
            return try parseBody(head, rest, pieces)
        }
        return .more
    }

    private static func parseBody(
        _ head: RequestHead,
        _ first: [UInt8],
        _ pieces: ArraySlice<[UInt8]>
    ) throws(HTTPFailure) -> ParsedRequest {
        switch head.framing {
        case .none: return request(head, [], first + pieces.joined())
        case .length(let length):
            let all = first + pieces.joined()
            return all.count < length ? .more : request(head, Array(all[..<length]), Array(all[length...]))
        case .chunked:
            var decoder = ChunkedDecoder()
            var pieces = pieces
            var piece: [UInt8]? = first
            while let bytes = piece {
                if let rest = try decoder.feed(bytes) { return request(head, decoder.body, rest + pieces.joined()) }
                piece = pieces.popFirst()
            }
            return .more
        }
    }

    private static func request(_ head: RequestHead, _ body: [UInt8], _ rest: [UInt8]) -> ParsedRequest {
        .request(
            method: head.method.rawValue,
            target: head.target.text,
            version: head.isVersion11 ? "1.1" : "1.0",
            fields: head.fields.map { field in
                let value = unsafe field.withUnsafeBytesOfValue { unsafe Array($0) }
                // The other parser writes this value in lower case.
                let isCoding = field.name == .transferEncoding
                return field.name.canonicalName + ":" + hex(isCoding ? Array(field.value.lowercased().utf8) : value)
            },
            body: body,
            rest: rest
        )
    }
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    return String(decoding: text, as: UTF8.self)
}

func bytes(hex text: some StringProtocol) -> [UInt8] {
    let digits = Array(text.utf8)
    return stride(from: 0, to: digits.count - 1, by: 2).map { index in
        UInt8(String(decoding: digits[index...(index + 1)], as: UTF8.self), radix: 16) ?? 0
    }
}
