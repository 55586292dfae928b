import HTTPServer
import HTTPTypes
import Telemetry
import TestKit
import Testing

/// Routes that are answered where their request is read.
@Suite struct ImmediateTests {
    /// `GET /now`, which tells the request's id.
    private static func router(_ add: (inout Router) -> Void = { _ in }) -> Router {
        .sample { router in
            router.onImmediate(.get, "/now") { .text("now \($0.id).") }
            add(&router)
        }
    }

    /// The same bytes again are the same request, and still one of their own.
    @Test func theSameRequestAgainIsAnsweredAnew() async throws {
        try await TestServer.run(Self.router()) { server in
            let client = try server.client()
            for count in 1...5 {
                client.send(get("/now"))
                try await client.wait(for: "now ", times: count)
            }
            client.send(get("/hello"))
            try await client.wait(for: "hello")
            let ids = client.heard.value.text.matches(of: #/now ([^.]+)\./#).map { String($0.1) }
            #expect(Set(ids).count == 5, "\(ids)")
            #expect(server.metrics.value("http_requests_total", labels: Self.labels) == 5)
        }
    }

    private static let labels = ["route": "/now", "method": "GET", "status": "200"]

    @Test func pipelinedOnesKeepTheirOrder() async throws {
        try await TestServer.run(Self.router()) { server in
            let text = try await server.exchange(
                get("/now") + get("/hello") + get("/now") + get("/hello", "Connection: close\r\n")
            )
            let bodies = text.matches(of: #/now|hello/#).map { String($0.0) }
            #expect(bodies == ["now", "hello", "now", "hello"])
        }
    }

    @Test func headHasNoBodyAndCloseCloses() async throws {
        try await TestServer.run(Self.router()) { server in
            let head = "HEAD /now HTTP/1.1\r\nHost: localhost\r\n\r\n"
            let text = try await server.exchange(head + get("/now", "Connection: close\r\n"))
            #expect(text.matches(of: #/HTTP/1.1 200 OK/#).count == 2)
            #expect(text.matches(of: #/now /#).count == 1)
            #expect(text.contains("Connection: close"))
        }
    }

    @Test func afterTheLastRequestOfAConnectionItCloses() async throws {
        try await TestServer.run(Self.router(), { $0.requestsPerConnectionMax = 2 }) { server in
            let text = try await server.exchange(get("/now") + get("/now") + get("/now"))
            #expect(text.matches(of: #/HTTP/1.1 200 OK/#).count == 2)
        }
    }

    @Test func whatItThrowsIsA500() async throws {
        let router = Self.router { $0.onImmediate(.get, "/broken") { _ in throw CancellationError() } }
        try await TestServer.run(router) { server in
            let client = try server.client()
            client.send(get("/broken") + get("/now"))
            try await client.wait(for: "now ")
            #expect(client.heard.value.text.hasPrefix("HTTP/1.1 500 "))
        }
    }

    /// A middleware without its twin is never passed by.
    @Test(arguments: [false, true])
    func middlewareStandsAroundIt(hasTwin: Bool) async throws {
        let router = Self.router { router in
            router.middleware = [
                { request, _, next in
                    var response = try await next(request)
                    response.headers[.server] = "long"
                    return response
                }
            ]
            guard hasTwin else { return }
            router.immediateMiddleware = [
                { request, _, next in
                    var response = try next(request)
                    response.headers[.server] = "short"
                    return response
                }
            ]
        }
        try await TestServer.run(router) { server in
            let text = try await server.exchange(get("/now", "Connection: close\r\n"))
            // A connection that ends goes the long way too.
            #expect(text.contains("Server: long"))
            let client = try server.client()
            client.send(get("/now"))
            try await client.wait(for: "now ")
            #expect(client.heard.value.text.contains(hasTwin ? "Server: short" : "Server: long"))
        }
    }

    /// Fields that many answers share are written beside an answer's own, also without a body.
    @Test(arguments: ["GET", "HEAD"])
    func sharedFieldsAreWritten(method: String) async throws {
        let shared = SharedFields([HTTPField(name: .server, value: "shared")])
        let router = Self.router { router in
            router.onImmediate(.get, "/shared") { _ in
                var response = ServerResponse.text("body")
                response.shared = shared
                return response
            }
        }
        try await TestServer.run(router) { server in
            let text = try await server.exchange(
                "\(method) /shared HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            #expect(text.contains("\r\nServer: shared\r\n") && text.contains("\r\nContent-Type: text/plain\r\n"))
        }
        #expect(shared.overlaps([.server: "own"]) && !shared.overlaps([.accept: "x"]))
    }

    /// Clients that vanish in the middle of everything, over and over: nothing of the server remembers them.
    @Test func aStormOfHangUpsHarmsNobody() async throws {
        try await TestServer.run(Self.router()) { server in
            for round in 0..<40 {
                let clients = try (0..<10).map { _ in try server.client() }
                for (index, client) in clients.enumerated() {
                    client.send(index % 2 == 0 ? "GET /now HTTP/1.1\r\nHost: a" : get("/now") + get("/hello"))
                }
                if round % 2 == 0 { try await clients[1].wait(for: "hello") }
                for (index, client) in clients.enumerated() {
                    if index % 3 == 0 { client.close() } else { client.reset() }
                }
            }
            let client = try server.client()
            client.send(get("/hello"))
            try await client.wait(for: "hello")
        }
    }
}
