package import HTTPTypes
package import HTTPWire

/// Values of a route's `{name}` segments.
package typealias PathParameters = [String: String]

package struct RouteOptions: Sendable {
    /// May take longer than the handler limit, as a run does.
    package let longRunning: Bool
    /// Answers without waiting for anybody, so that no limit needs to stand beside it.
    package let isImmediate: Bool
    /// Bytes; nil means the server's limit.
    package let bodyMax: Int?
    /// Media types a body may have; nil leaves it to the handler.
    package let consumes: [String]?
    /// The media type answered, which `Accept` must admit; nil leaves it to the handler.
    package let produces: String?

    package init(
        longRunning: Bool = false,
        isImmediate: Bool = false,
        bodyMax: Int? = nil,
        consumes: [String]? = nil,
        produces: String? = nil
    ) {
        self.longRunning = longRunning
        self.isImmediate = isImmediate
        self.bodyMax = bodyMax
        self.consumes = consumes
        self.produces = produces
    }
}

/// Finds the handler for a method and path; the rest is 404, 405 with `Allow`, `HEAD` by way of `GET`, and `OPTIONS`.
package struct Router: Sendable {
    package typealias Handler = @Sendable (ServerRequest, PathParameters) async throws -> ServerResponse
    package typealias Next = @Sendable (ServerRequest) async throws -> ServerResponse
    package typealias Middleware = @Sendable (ServerRequest, String?, Next) async throws -> ServerResponse

    /// The route a request takes: what is known before its body is read.
    package struct Match: Sendable {
        package let pattern: String
        package let options: RouteOptions
    }

    private struct Route {
        let method: HTTPRequest.Method
        let pattern: String
        let segments: [Segment]
        let options: RouteOptions
        let handler: Handler

        var parameterCount: Int {
            segments.count { segment in
                if case .parameter = segment { true } else { false }
            }
        }
    }

    private enum Segment {
        case literal(String)
        case parameter(String)

        init(_ text: Substring) {
            let isParameter = text.hasPrefix("{") && text.hasSuffix("}")
            self = isParameter ? .parameter(String(text.dropFirst().dropLast())) : .literal(String(text))
        }
    }

    private var routes: [Route] = []
    package var middleware: [Middleware] = []
    package var errorResponse: @Sendable (HTTPFailure) -> ServerResponse = { failure in
        var headers = HTTPFields()
        if !failure.allow.isEmpty { headers[.allow] = failure.allow.joined(separator: ", ") }
        let body = failure.status == 204 ? [] : Array(failure.reason.utf8)
        return ServerResponse(status: .init(code: failure.status), headers: headers, body: .bytes(body))
    }

    package init() {}

    package mutating func on(
        _ method: HTTPRequest.Method,
        _ pattern: String,
        options: RouteOptions = RouteOptions(),
        handler: @escaping Handler
    ) {
        let segments = pattern.split(separator: "/").map(Segment.init)
        routes.append(Route(method: method, pattern: pattern, segments: segments, options: options, handler: handler))
    }

    /// Every route as (method, pattern).
    package var table: [(HTTPRequest.Method, String)] { routes.map { ($0.method, $0.pattern) } }

    /// The route for a method and path, if there is one.
    package func match(_ method: HTTPRequest.Method, _ path: [String]) -> Match? {
        route(method, path).map { Match(pattern: $0.pattern, options: $0.options) }
    }

    private func route(_ method: HTTPRequest.Method, _ path: [String]) -> Route? {
        let wanted = method == .head ? HTTPRequest.Method.get : method
        return Self.there(routes, path).first { $0.method == wanted }
    }

    /// The routes of the pattern that fits a path best: one without parameters before one with.
    private static func there(_ routes: [Route], _ path: [String]) -> [Route] {
        let matching = routes.filter { $0.segments.count == path.count && matches($0.segments, path) }
        guard matching.count > 1, let fewest = matching.map(\.parameterCount).min() else { return matching }
        return matching.filter { $0.parameterCount == fewest }
    }

    /// Answers a request; never throws: what a handler throws past the middleware is a 500.
    package func respond(to request: ServerRequest) async -> ServerResponse {
        let route = request.isServerWide ? nil : route(request.method, request.path)
        // From the inside out.
        var next: Next = { [errorResponse, routes] request in
            guard let route else { return errorResponse(Self.failure(request, routes)) }
            if let refusal = Self.refusal(request, route.options) { return errorResponse(refusal) }
            return try await route.handler(request, Self.parameters(route.segments, request.path))
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

    private static func failure(_ request: ServerRequest, _ routes: [Route]) -> HTTPFailure {
        let there = request.isServerWide ? routes : Self.there(routes, request.path)
        guard !there.isEmpty else { return HTTPFailure(404, "there is nothing at this path") }
        var allow = Set(there.map(\.method.rawValue)).union(["OPTIONS"])
        if allow.contains("GET") { allow.insert("HEAD") }
        return HTTPFailure(
            request.method == .options ? 204 : 405,
            "the method is not allowed here",
            allow: allow.sorted()
        )
    }

    private static func refusal(_ request: ServerRequest, _ options: RouteOptions) -> HTTPFailure? {
        if let consumes = options.consumes, !request.body.isEmpty {
            let type = request.headers[.contentType].flatMap { MediaRange.type(of: $0) }
            guard let type, consumes.contains(type) else {
                return HTTPFailure(415, "send the body as \(consumes.joined(separator: " or "))")
            }
        }
        if let produces = options.produces, !MediaRange.admits(produces, accept: request.headers[.accept]) {
            return HTTPFailure(406, "the answer is \(produces)")
        }
        return nil
    }

    private static func matches(_ segments: [Segment], _ path: [String]) -> Bool {
        guard segments.count == path.count else { return false }
        return zip(segments, path).allSatisfy { segment, value in
            switch segment {
            case .literal(let text): text == value
            case .parameter: true
            }
        }
    }

    private static func parameters(_ segments: [Segment], _ path: [String]) -> PathParameters {
        var parameters: PathParameters = [:]
        for case (.parameter(let name), let value) in zip(segments, path) { parameters[name] = value }
        return parameters
    }
}
