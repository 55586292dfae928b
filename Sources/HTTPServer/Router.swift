package import HTTPTypes
package import HTTPWire

/// Values of a route's `{name}` segments.
package typealias PathParameters = [String: String]

package struct RouteOptions: Sendable {
    /// May take longer than the handler limit, as a run does.
    package let longRunning: Bool
    /// Bytes; nil means the server's limit.
    package let bodyMax: Int?

    package init(longRunning: Bool = false, bodyMax: Int? = nil) {
        self.longRunning = longRunning
        self.bodyMax = bodyMax
    }
}

/// Finds the handler for a method and path; the rest is 404, 405 with `Allow`, `HEAD` by way of `GET`, and `OPTIONS`.
package struct Router: Sendable {
    package typealias Handler = @Sendable (ServerRequest, PathParameters) async throws -> ServerResponse
    package typealias Next = @Sendable (ServerRequest) async throws -> ServerResponse
    package typealias Middleware = @Sendable (ServerRequest, String?, Next) async throws -> ServerResponse

    private struct Route {
        let method: HTTPRequest.Method
        let pattern: String
        let segments: [String]
        let options: RouteOptions
        let handler: Handler
    }

    private var routes: [Route] = []
    package var middleware: [Middleware] = []
    package var errorResponse: @Sendable (HTTPFailure) -> ServerResponse = { failure in
        ServerResponse(status: .init(code: failure.status), body: .bytes(Array(failure.reason.utf8)))
    }

    package init() {}

    package mutating func on(
        _ method: HTTPRequest.Method,
        _ pattern: String,
        options: RouteOptions = RouteOptions(),
        handler: @escaping Handler
    ) {
        let segments = pattern.split(separator: "/").map(String.init)
        routes.append(Route(method: method, pattern: pattern, segments: segments, options: options, handler: handler))
    }

    /// Every route as (method, pattern).
    package var table: [(HTTPRequest.Method, String)] { routes.map { ($0.method, $0.pattern) } }

    /// Answers a request; never throws: what a handler throws past the middleware is a 500.
    package func respond(to request: ServerRequest) async -> ServerResponse {
        let matching = routes.filter { Self.match($0.segments, request.path) != nil }
        let wanted = request.method == .head ? HTTPRequest.Method.get : request.method
        let route = matching.first { $0.method == wanted }
        var next: Next = { [errorResponse] request in
            if let route, let parameters = Self.match(route.segments, request.path) {
                return try await route.handler(request, parameters)
            }
            return errorResponse(Self.failure(request, matching.map(\.method)))
        }
        for layer in middleware.reversed() {
            let inner = next
            next = { try await layer($0, route?.pattern, inner) }
        }
        do {
            return try await next(request)
        } catch {
            return errorResponse(HTTPFailure(500, "the request failed"))
        }
    }

    private static func failure(_ request: ServerRequest, _ methods: [HTTPRequest.Method]) -> HTTPFailure {
        guard !methods.isEmpty else { return HTTPFailure(404, "there is nothing at this path") }
        var allow = Set(methods.map(\.rawValue)).union(["OPTIONS"])
        if allow.contains("GET") { allow.insert("HEAD") }
        return HTTPFailure(
            request.method == .options ? 204 : 405,
            "the method is not allowed here",
            allow: allow.sorted()
        )
    }

    private static func match(_ segments: [String], _ path: [String]) -> PathParameters? {
        guard segments.count == path.count else { return nil }
        var parameters: PathParameters = [:]
        for (segment, value) in zip(segments, path) {
            if segment.hasPrefix("{"), segment.hasSuffix("}") {
                parameters[String(segment.dropFirst().dropLast())] = value
            } else if segment != value {
                return nil
            }
        }
        return parameters
    }
}
