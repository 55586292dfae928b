import HTTPServer
import HTTPTypes
import HTTPWire
import Telemetry
import TestKit
import Testing

/// Requests and answers over real sockets.
@Suite struct ConversationTests {
    @Test func aConnectionIsKeptAndPipelinedRequestsAreAnsweredInOrder() async throws {
        try await TestServer.run { server in
            let client = try server.client()
            client.send((0..<20).map { get("/items/\($0)") }.joined())
            try await client.wait(for: "item 19")
            let text = client.heard.value.text
            let order = text.matches(of: #/item (\d+)/#).map { String($0.output.1) }
            #expect(order == (0..<20).map(String.init))
            #expect(!text.contains("Connection: close"))
            client.send(get("/hello"))
            try await client.wait(for: "hello")
            #expect(!client.heard.value.isEnded)
        }
    }

    @Test func tooManyPipelinedRequestsAreCutWithAnAnswer() async throws {
        try await TestServer.run(Router.sample(), { $0.pipelinedMax = 5 }) { server in
            let text = try await server.exchange((0..<9).map { get("/items/\($0)") }.joined())
            #expect(text.ranges(of: "HTTP/1.1 200 OK").count == 5)
            #expect(text.ranges(of: "Connection: close").count == 1)
        }
    }

    @Test func aPeerThatEndedItsSideIsServed() async throws {
        try await TestServer.run { server in
            let client = try server.client()
            client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + get("/hello"))
            client.finishWriting()
            let text = try await client.waitForEnd()
            #expect(text.contains("got abc"))
            #expect(text.hasSuffix("hello"))
        }
    }

    @Test func olderClientsHeadAndOptions() async throws {
        try await TestServer.run { server in
            let old = try await server.exchange("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            #expect(old.hasSuffix("hello"))
            #expect(old.contains("Connection: close\r\n"))
            let head = try await server.exchange(
                "HEAD /hello HTTP/1.1\r\nHost: a\r\nConnection: Keep-Alive , CLOSE\r\n\r\n"
            )
            #expect(head.contains("Content-Length: 5\r\n"))
            #expect(head.hasSuffix("\r\n\r\n"))
            let options = try await server.exchange(
                "OPTIONS /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            #expect(options.hasPrefix("HTTP/1.1 204 No Content\r\n"))
            #expect(options.contains("Allow: OPTIONS, POST\r\n"))
            #expect(!options.contains("Content-Length"))
            let all = try await server.exchange("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(all.contains("Allow: GET, HEAD, OPTIONS, POST\r\n"))
            let unknown = try await server.exchange("BREW /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(unknown.hasPrefix("HTTP/1.1 405 "))
            #expect(unknown.contains("Allow: GET, HEAD, OPTIONS\r\n"))
            let absolute = try await server.exchange(
                "GET http://there/hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            #expect(absolute.hasSuffix("hello"))
        }
    }

    @Test func continueIsSaidBeforeABodyThatIsWanted() async throws {
        try await TestServer.run { server in
            let expects = "HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length"
            let client = try server.client()
            client.send("POST /echo \(expects): 3\r\n\r\n")
            try await client.wait(for: "HTTP/1.1 100 Continue\r\n\r\n")
            client.send("abc")
            try await client.wait(for: "got abc")
            // No route, a body above the route's limit: the answer itself comes, and the body never has to.
            let nowhere = try await server.exchange("POST /nowhere \(expects): 3\r\n\r\n")
            #expect(nowhere.hasPrefix("HTTP/1.1 404 "))
            #expect(nowhere.contains("Connection: close\r\n"))
            let large = try await server.exchange("POST /echo \(expects): 100001\r\n\r\n")
            #expect(large.hasPrefix("HTTP/1.1 413 "))
            let other = try await server.exchange("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n")
            #expect(other.hasPrefix("HTTP/1.1 417 "))
        }
    }

    @Test(arguments: [
        ("GET /hello HTTP/1.1\r\n\r\n", 400), ("GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("GET /\(String(repeating: "a", count: 9_000)) HTTP/1.1\r\n", 414),
        ("GET / HTTP/1.1\r\n\(String(repeating: "A: b\r\n", count: 101))", 431),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}", 400), ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1ffff\r\n", 413),
    ])
    func everyRefusalIsAnAnswerAndThenTheEnd(text: String, status: Int) async throws {
        try await TestServer.run { server in
            let answer = try await server.exchange(text)
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
            #expect(answer.contains("Connection: close\r\n"))
            #expect(server.metrics.prometheusText().contains("status=\"\(status)\""))
        }
    }

    /// A body nobody reads would make the kernel take the answer back, were it not read and thrown away.
    @Test func aClientThatSendsOnReadsItsRefusal() async throws {
        try await TestServer.run(Router.sample(), { $0.lingerTimeout = .seconds(20) }) { server in
            let client = try server.client()
            client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n")
            try await client.wait(for: "HTTP/1.1 413 ")
            let isTaken = client.sendBesideAndFinish([UInt8](repeating: 65, count: 4_000_000))
            try await isTaken.wait { $0 != nil }
            #expect(isTaken.value == true, "the connection was reset under it")
            #expect(try await client.waitForEnd().contains("the body is larger than"))
        }
    }

    @Test func chunkedBodiesArriveAndTrailersDoNot() async throws {
        try await TestServer.run { server in
            let client = try server.client()
            client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n5")
            client.send(";x=y\r\npedia\r\n0\r\nHost: gone\r\n\r\n" + get("/hello"))
            try await client.wait(for: "got Wikipedia")
            try await client.wait(for: "hello")
        }
    }

    @Test func version6IsListenedOn() async throws {
        try await TestServer.run(host: "::1") { server in
            let client = try RawClient(port: server.port, isVersion6: true)
            client.send(get("/peer"))
            try await client.wait(for: "from ::1")
        }
    }

    /// As the daemon has them when `/metrics` stands on a port of its own.
    @Test func twoServersCountTheirConnectionsTogether() async throws {
        try await TestServer.run { first in
            try await TestServer.run(metrics: first.metrics) { second in
                var clients: [RawClient] = []
                for server in [first, second, first] {
                    let client = try server.client()
                    client.send(get("/hello"))
                    try await client.wait(for: "hello")
                    clients.append(client)
                }
                #expect(first.metrics.value("http_connections") == 3)
            }
            let left = try await first.exchange(get("/hello", "Connection: close\r\n"))
            #expect(left.hasSuffix("hello"))
        }
    }

    @Test func metricsNameTheRouteAndNeverThePath() async throws {
        try await TestServer.run { server in
            _ = try await server.exchange(get("/items/7", "Connection: close\r\n"))
            _ = try await server.exchange("BREW /items/7 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            _ = try await server.exchange("GET /secret HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            let page = server.metrics.prometheusText()
            #expect(page.contains(#"http_requests_total{method="GET",route="/items/{id}",status="200"} 1"#))
            #expect(page.contains(#"http_requests_total{method="other",route="none",status="405"} 1"#))
            #expect(page.contains(#"http_requests_total{method="GET",route="none",status="404"} 1"#))
            #expect(page.contains(#"http_request_duration_seconds_count{route="/items/{id}"} 1"#))
            #expect(page.contains("# TYPE http_connections gauge"))
            #expect(!page.contains("secret"))
        }
    }
}
