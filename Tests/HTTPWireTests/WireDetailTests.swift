import HTTPTypes
import HTTPWire
import Testing

@Suite struct WireDetailTests {
    private func head(_ text: String) throws -> RequestHead? {
        var parser = RequestHeadParser()
        guard case .head(let head, _) = try parser.feed(Array(text.utf8)) else { return nil }
        return head
    }

    @Test(arguments: [
        ("", true), ("Connection: close\r\n", false), ("Connection: keep-alive, CLOSE\r\n", false),
        ("Connection: a\r\nConnection:\tclose\r\n", false), ("Connection: closed\r\n", true),
    ])
    func whetherTheConnectionGoesOn(fields: String, goesOn: Bool) throws {
        #expect(try head("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")?.keepsAlive == goesOn)
        #expect(try head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\(fields)\r\n")?.keepsAlive == false)
    }

    @Test(arguments: [
        ("http://h/a", "h", ["a"]), ("HTTPS://h:80?x=1", "h:80", []), ("http://[::1]:9/", "[::1]:9", []),
        ("/a//b/", "x", ["a", "", "b"]), ("/%2541", "x", ["%41"]), ("/a+b", "x", ["a+b"]), ("/", "x", []),
    ])
    func targetsAreTakenApartOnce(target: String, host: String, path: [String]) throws {
        let head = try #require(try head("GET \(target) HTTP/1.1\r\nHost: x\r\n\r\n"))
        #expect(head.host == host)
        #expect(head.path == path)
        #expect(head.target.text == target)
    }

    @Test func queriesAreFormText() throws {
        let head = try #require(try head("GET /?a=1+2&&b&=c&d=%26%3D&e=f=g HTTP/1.1\r\nHost: x\r\n\r\n"))
        #expect(head.query.map(\.0) == ["a", "b", "", "d", "e"])
        #expect(head.query.map(\.1) == ["1 2", "", "c", "&=", "f=g"])
        let server = try #require(try self.head("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"))
        #expect(server.target.isServerWide)
    }

    @Test(arguments: [
        (" GET / HTTP/1.1\r\n", 400), ("\u{16}", 400), ("GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400), ("GET http://u@h/ HTTP/1.1\r\n", 400),
        ("GET /a\\%00 HTTP/1.1\r\n", 400), ("GET /a#b HTTP/1.1\r\n", 400), ("GET /%C3 HTTP/1.1\r\n", 400),
        ("GET * HTTP/1.1\r\n", 400), ("GET / HTTP/1.1\r\r", 400), ("GET / HTTP/1.1\r\nA: b\u{0}", 400),
        ("GET / HTTP/3\r\n", 400), ("GET / HTTP/1.2\r\n", 505), ("CONNECT h:1 HTTP/1.1\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
    ])
    func refusalsComeAtTheFirstBadByteOrLine(text: String, status: Int) throws {
        var parser = RequestHeadParser()
        var failure: HTTPFailure?
        for byte in text.utf8 where failure == nil {
            do { _ = try parser.feed([byte]) } catch { failure = error }
        }
        #expect(failure?.status == status)
    }

    @Test func limitsAreExact() throws {
        let longest = "/" + String(repeating: "a", count: 8_192 - "GET / HTTP/1.1".utf8.count)
        #expect(try head("GET \(longest) HTTP/1.1\r\nHost: a\r\n\r\n") != nil)
        #expect(throws: HTTPFailure.self) { try self.head("GET \(longest)a HTTP/1.1\r\nHost: a\r\n\r\n") }
        let most = String(repeating: "A: b\r\n", count: 99)
        #expect(try head("GET / HTTP/1.1\r\nHost: a\r\n\(most)\r\n") != nil)
        let start = "GET / HTTP/1.1\r\nHost: a\r\nA: "
        let filler = String(repeating: "b", count: 16_384 - start.utf8.count - 4)
        #expect(try head("\(start)\(filler)\r\n\r\n") != nil)
        let failure = #expect(throws: HTTPFailure.self) { try self.head("\(start)\(filler)b\r\n\r\n") }
        #expect(failure?.status == 431)
    }

    @Test(arguments: [
        ("5 ;a\r\n", 400), ("5 x\r\n", 400), (";a\r\n", 400), ("\r\n", 400), ("-1\r\n", 400), ("0x5\r\n", 400),
        ("00000000000000001\r\n", 400), ("FFFFFFFFFFFFFFFF\r\n", 400), ("7FFFFFFFFFFFFF\r\n", 413), ("65\r\n", 413),
        ("1\r\nab", 400), ("1\r\na\n", 400), ("1\n", 400), ("1;\u{1}", 400), ("0\r\nbad trailer\r\n", 400),
        ("0\r\n folded\r\n", 400), ("1;\(String(repeating: "x", count: 17_000))", 431),
        ("0\r\n\(String(repeating: "A: b\r\n", count: 101))", 431),
    ])
    func brokenChunksAreRefused(text: String, status: Int) {
        var decoder = ChunkedDecoder(bodyMax: 100)
        let failure = #expect(throws: HTTPFailure.self) { _ = try decoder.feed(Array(text.utf8)) }
        #expect(failure?.status == status)
    }

    @Test func linesAroundManySmallChunksHaveACeiling() {
        var decoder = ChunkedDecoder()
        let chunk = Array("1;\(String(repeating: "x", count: 1_000))\r\na\r\n".utf8)
        let failure = #expect(throws: HTTPFailure.self) { for _ in 0..<20 { _ = try decoder.feed(chunk) } }
        #expect(failure?.status == 431)
        #expect(decoder.body.count < 20)
    }

    @Test func whatTheEncoderWritesTheDecoderReads() throws {
        var decoder = ChunkedDecoder()
        let pieces = [[UInt8](repeating: 7, count: 300), [], [1], Array("0\r\n\r\n".utf8)]
        let wire = pieces.flatMap(ChunkedEncoder.chunk) + ChunkedEncoder.end
        #expect(try decoder.feed(wire) == [])
        #expect(decoder.body == pieces.flatMap { $0 })
    }

    @Test(arguments: [
        (nil, true), ("", true), ("*/*", true), ("application/*", true), ("text/html", false),
        ("application/json;q=0", false), ("text/html, application/json ; q=0.5", true), ("*/*;q=0.0", false),
        ("application/json;q=0, */*", false), ("Application/JSON", true), ("text/*, */*;q=0", false),
    ])
    func acceptedTypes(accept: String?, isAdmitted: Bool) {
        #expect(MediaRange.admits("application/json", accept: accept) == isAdmitted)
        #expect(MediaRange.type(of: " Text/HTML ; charset=x") == "text/html")
        #expect(MediaRange.type(of: "text") == nil)
    }
}

@Suite struct AcceptEncodingTests {
    @Test(arguments: [
        (nil, false), ("", false), ("gzip", true), ("GZip ; q=1", true), ("gzip;q=0", false), ("gzip;q=0.0", false),
        ("*", true), ("*;q=0", false), ("gzip;q=0, *", false), ("*;q=0, gzip", true), ("x-gzip", true),
        ("gzipp", false),
        (",,;", false), ("br, gzip;q=0.001", true),
    ])
    func whoAsksForGzip(field: String?, isAsked: Bool) {
        #expect(AcceptEncoding.asks(for: "gzip", field) == isAsked)
    }
}
