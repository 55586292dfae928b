import Foundation

/// One answer as it stood on the wire.
package struct RawAnswer: Sendable {
    package let status: Int
    /// By name in lower case; of repeated fields the last.
    package let fields: [String: String]
    package let body: [UInt8]

    package var text: String { String(decoding: body, as: UTF8.self) }

    /// The answer in `bytes`, whose end was the connection's: with a length, or in chunks.
    ///
    /// Throws `TestServiceMissing` when the bytes are no whole answer.
    package init(_ bytes: [UInt8], isHead: Bool = false) throws {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = Self.end(of: bytes), let line = text.split(separator: "\r\n").first,
            let status = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { throw TestServiceMissing("no answer: \(text.prefix(200))") }
        var fields: [String: String] = [:]
        for line in String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n").dropFirst() {
            let sides = line.split(separator: ":", maxSplits: 1)
            guard sides.count == 2 else { throw TestServiceMissing("no field: \(line)") }
            fields[sides[0].lowercased()] = sides[1].trimmingCharacters(in: .whitespaces)
        }
        self.status = status
        self.fields = fields
        let rest = Array(bytes[(end + 4)...])
        if fields["transfer-encoding"] == "chunked" {
            body = try Self.joined(rest)
        } else {
            let length = isHead ? 0 : fields["content-length"].flatMap { Int($0) } ?? 0
            guard rest.count == length else { throw TestServiceMissing("\(rest.count) bytes, not \(length)") }
            body = rest
        }
    }

    private static func end(of bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        return (0...(bytes.count - 4)).first { Array(bytes[$0..<($0 + 4)]) == [13, 10, 13, 10] }
    }

    private static func joined(_ chunks: [UInt8]) throws -> [UInt8] {
        var rest = chunks[...]
        var body: [UInt8] = []
        while let line = rest.firstIndex(of: 13),
            let size = Int(String(decoding: rest[..<line], as: UTF8.self), radix: 16),
            rest.count >= line - rest.startIndex
        {
            if size == 0 { return body }
            let start = line + 2
            guard start + size <= rest.endIndex else { break }
            body += rest[start..<(start + size)]
            rest = rest[(start + size + 2)...]
        }
        throw TestServiceMissing("the chunks have no end")
    }
}

extension RawClient {
    /// Sends one request on a connection of its own, and reads the answer to the connection's end.
    package static func exchange(
        port: Int,
        _ method: String,
        _ path: String,
        fields: [String: String] = [:],
        body: [UInt8]? = nil
    ) async throws -> RawAnswer {
        var all = ["Host": "localhost:\(port)", "Connection": "close"].merging(fields) { $1 }
        if let body { all["Content-Length"] = "\(body.count)" }
        let head = all.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)\r\n" }.joined()
        let client = try RawClient(port: port)
        client.send(Array("\(method) \(path) HTTP/1.1\r\n\(head)\r\n".utf8) + (body ?? []))
        _ = try await client.waitForEnd()
        do {
            return try RawAnswer(client.heard.value.bytes, isHead: method == "HEAD")
        } catch let missing as TestServiceMissing {
            throw TestServiceMissing("\(method) \(path): \(missing)")
        }
    }
}
