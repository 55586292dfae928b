import HTTPServer
import HTTPTypes
import Logging
import ServiceLifecycle
import Telemetry
import TestKit

/// A server on a free port for the length of one test.
struct TestServer: Sendable {
    let port: Int
    let metrics: MetricsRegistry
    private let group: ServiceGroup

    func client(reads: Bool = true) throws -> RawClient { try RawClient(port: port, reads: reads) }

    /// Sends one request and waits for the connection's end.
    func exchange(_ text: String) async throws -> String {
        let client = try client()
        client.send(text)
        return try await client.waitForEnd()
    }

    func stop() async { await group.triggerGracefulShutdown() }

    /// Runs `body` beside a server, then stops it and waits for its end.
    static func run(
        _ router: Router = Router.sample(),
        host: String = "127.0.0.1",
        stopWithin: Duration? = .seconds(20),
        _ change: (inout HTTPServerConfiguration) -> Void = { _ in },
        metrics: MetricsRegistry = MetricsRegistry(),
        _ body: (TestServer) async throws -> Void
    ) async throws {
        var configuration = HTTPServerConfiguration(host: host, port: 0)
        change(&configuration)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let server = Server(configuration: configuration, router: router, logger: logger, metrics: metrics)
        var services = ServiceGroupConfiguration(services: [.init(service: server)], logger: logger)
        services.maximumGracefulShutdownDuration = stopWithin
        let group = ServiceGroup(configuration: services)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let port = await server.boundPort
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(TestServer(port: port, metrics: metrics, group: group)))
            } catch {
                result = .failure(error)
            }
            await group.triggerGracefulShutdown()
            while await tasks.nextResult() != nil {}
            try result.get()
        }
    }
}

extension Router {
    /// `GET /hello`, `POST /echo` and what a test adds.
    static func sample(_ add: (inout Router) -> Void = { _ in }) -> Router {
        var router = Router()
        router.on(.get, "/hello") { _, _ in .text("hello") }
        router.on(.get, "/peer") { request, _ in .text("from \(request.remoteAddress)") }
        router.on(.get, "/items/{id}") { _, parameters in .text("item \(parameters["id"] ?? "")") }
        router.on(.post, "/echo", options: RouteOptions(bodyMax: 100_000)) { request, _ in
            .text("got \(String(decoding: request.body, as: UTF8.self))")
        }
        add(&router)
        return router
    }
}

extension ServerResponse {
    static func text(_ text: String) -> ServerResponse {
        ServerResponse(status: .ok, headers: [.contentType: "text/plain"], body: .bytes(Array(text.utf8)))
    }
}

/// What a request looks like most of the time.
func get(_ path: String, _ fields: String = "") -> String {
    "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(fields)\r\n"
}
