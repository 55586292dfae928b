import HTTPServer
import HTTPTypes
import HTTPWire
import Testing

@Suite struct RouterTests {
    private static func request(_ method: HTTPRequest.Method, _ path: [String]) -> ServerRequest {
        ServerRequest(
            method: method,
            path: path,
            query: [],
            headers: [:],
            body: [],
            remoteAddress: "",
            id: "1",
            host: "localhost"
        )
    }

    private static var router: Router {
        var router = Router()
        router.errorResponse = { failure, _ in
            ServerResponse(
                status: .init(code: failure.status),
                headers: [.allow: failure.allow.joined(separator: ", ")]
            )
        }
        router.on(.get, "/runs/{id}") { _, parameters in
            ServerResponse(status: .ok, body: .bytes(Array((parameters["id"] ?? "").utf8)))
        }
        router.on(.post, "/runs/{id}") { _, _ in throw HTTPFailure(418, "broken") }
        return router
    }

    /// As OpenAPI has it: a path that is written out is not also a value of a parameter.
    @Test func aPatternWithoutParametersComesFirst() async {
        var router = Self.router
        router.on(.delete, "/letters/{id}") { _, _ in ServerResponse(status: .ok) }
        router.on(.post, "/letters/retry") { _, _ in ServerResponse(status: .accepted) }
        router.on(.post, "/letters/{id}") { _, _ in ServerResponse(status: .ok) }
        #expect(await router.respond(to: Self.request(.post, ["letters", "retry"])).status == .accepted)
        #expect(await router.respond(to: Self.request(.post, ["letters", "1"])).status == .ok)
        let refused = await router.respond(to: Self.request(.delete, ["letters", "retry"]))
        #expect(refused.status == .methodNotAllowed)
        #expect(refused.headers[.allow] == "OPTIONS, POST")
        #expect(router.match(.delete, ["letters", "1"])?.pattern == "/letters/{id}")
    }

    @Test func parametersReachTheHandler() async {
        let response = await Self.router.respond(to: Self.request(.get, ["runs", "7"]))
        guard case .bytes(let body) = response.body else { return }
        #expect(response.status == .ok)
        #expect(String(decoding: body, as: UTF8.self) == "7")
    }

    @Test func unknownPathsMethodsAndFailuresAreAnswered() async {
        #expect(await Self.router.respond(to: Self.request(.get, ["nothing"])).status == .notFound)
        let wrong = await Self.router.respond(to: Self.request(.delete, ["runs", "7"]))
        #expect(wrong.status == .methodNotAllowed)
        #expect(wrong.headers[.allow] == "GET, HEAD, OPTIONS, POST")
        #expect(await Self.router.respond(to: Self.request(.head, ["runs", "7"])).status == .ok)
        #expect(await Self.router.respond(to: Self.request(.post, ["runs", "7"])).status == .internalServerError)
    }

    @Test func mediaTypesARouteDeclaresAreHeld() async {
        var router = Router()
        let options = RouteOptions(consumes: ["application/json"], produces: "application/json")
        router.on(.post, "/things", options: options) { _, _ in ServerResponse(status: .ok) }
        var request = Self.request(.post, ["things"])
        #expect(await router.respond(to: request).status == .ok)
        request.body = [1]
        #expect(await router.respond(to: request).status == .unsupportedMediaType)
        request.headers[.contentType] = "application/json; charset=utf-8"
        #expect(await router.respond(to: request).status == .ok)
        request.headers[.accept] = "text/html"
        #expect(await router.respond(to: request).status == .notAcceptable)
    }
}
