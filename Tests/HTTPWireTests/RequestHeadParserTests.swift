import HTTPTypes
import HTTPWire
import Testing

@Suite struct RequestHeadParserTests {
    private static let sample =
        "POST /a%20b/c?x=1&y=%C3%A9 HTTP/1.1\r\nHost: localhost:4000\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabcGET"

    /// Property: how the bytes are cut into reads never changes the answer.
    @Test(arguments: 1...60)
    func splittingIsInvisible(size: Int) throws {
        var parser = RequestHeadParser()
        let bytes = Array(Self.sample.utf8)
        var at = 0
        while at < bytes.count {
            let piece = Array(bytes[at..<min(bytes.count, at + size)])
            at += piece.count
            guard case .head(let head, let rest) = try parser.feed(piece) else { continue }
            #expect(head.method == .post)
            #expect(head.path == ["a b", "c"])
            #expect(head.query.map(\.1) == ["1", "é"])
            #expect(head.framing == .length(3))
            #expect(String(decoding: rest + bytes[at...], as: UTF8.self) == "abcGET")
            return
        }
        Issue.record("the head was never complete")
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n b: c\r\n\r\n", 400), ("GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /%2e%2e/x HTTP/1.1\r\nHost: a\r\n\r\n", 400), ("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n", 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    ])
    func refusesWithAStatus(text: String, status: Int) {
        var parser = RequestHeadParser()
        let failure = #expect(throws: HTTPFailure.self) { _ = try parser.feed(Array(text.utf8)) }
        #expect(failure?.status == status)
    }

    @Test func headsAreBounded() {
        var parser = RequestHeadParser()
        let line = #expect(throws: HTTPFailure.self) { _ = try parser.feed([UInt8](repeating: 65, count: 9_000)) }
        #expect(line?.status == 414)
        var fields = RequestHeadParser()
        let many = "GET / HTTP/1.1\r\nHost: a\r\n" + String(repeating: "A: b\r\n", count: 101) + "\r\n"
        let failure = #expect(throws: HTTPFailure.self) { _ = try fields.feed(Array(many.utf8)) }
        #expect(failure?.status == 431)
    }

    @Test(arguments: 1...12)
    func chunksDecodeHoweverTheyAreCut(size: Int) throws {
        let bytes = Array("4;x=y\r\nWiki\r\n5\r\npedia\r\n0\r\nTrailer: gone\r\n\r\nNEXT".utf8)
        var decoder = ChunkedDecoder(bodyMax: 100)
        var at = 0
        while at < bytes.count {
            let piece = Array(bytes[at..<min(bytes.count, at + size)])
            at += piece.count
            guard let rest = try decoder.feed(piece) else { continue }
            #expect(String(decoding: decoder.body, as: UTF8.self) == "Wikipedia")
            #expect(String(decoding: rest + bytes[at...], as: UTF8.self) == "NEXT")
            return
        }
        Issue.record("the body never ended")
    }
}
