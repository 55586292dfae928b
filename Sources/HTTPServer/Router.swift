package import HTTPTypes
package import HTTPWire

/// Values of a route's `{name}` segments.
package typealias PathParameters = [String: String]

package struct RouteOptions: Sendable {
    /// May take longer than the handler limit, as a run does.
    package let longRunning: Bool
    /// Bytes; nil means the server's limit.
    package let bodyMax: Int?
    /// Media types a body may have; nil leaves it to the handler.
    package let consumes: [String]?
    /// The media type answered, which `Accept` must admit; nil leaves it to the handler.
    package let produces: String?

    package init(
        longRunning: Bool = false,
        bodyMax: Int? = nil,
        consumes: [String]? = nil,
        produces: String? = nil
    ) {
        self.longRunning = longRunning
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
    /// The same for a handler that waits for nobody.
    package typealias ImmediateHandler = @Sendable (ServerRequest) throws -> ServerResponse
    package typealias ImmediateMiddleware =
        @Sendable (ServerRequest, String?, ImmediateHandler) throws -> ServerResponse

    /// The route a request takes: what is known before its body is read.
    package struct Match: Sendable {
        package let pattern: String
        package let options: RouteOptions
        /// Of all routes in the order they were added.
        let number: Int
    }

    private struct Route {
        let method: HTTPRequest.Method
        let pattern: String
        let segments: [Segment]
        let options: RouteOptions
        let handler: Handler
        /// Of a route that waits for nobody and has no parameters.
        let immediate: ImmediateHandler?
        let parameterCount: Int
    }

    private enum Segment {
        case literal(String)
        case parameter(String)

        var isParameter: Bool { if case .parameter = self { true } else { false } }

        init(_ text: Substring) {
            let isParameter = text.hasPrefix("{") && text.hasSuffix("}")
            self = isParameter ? .parameter(String(text.dropFirst().dropLast())) : .literal(String(text))
        }
    }

    private var routes: [Route] = []
    /// Where the routes without parameters stand, by their path.
    private var literal: [[String]: [Int]] = [:]
    /// Where those with parameters stand, by the number of their segments.
    private var parametric: [Int: [Int]] = [:]
    package var middleware: [Middleware] = []
    /// What stands around immediate handlers, one for each of `middleware`; a route goes the long way while one lacks.
    package var immediateMiddleware: [ImmediateMiddleware] = []
    /// The answer to what no handler will see, and to the id of its request.
    package var errorResponse: @Sendable (HTTPFailure, _ requestID: String) -> ServerResponse = { failure, _ in
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
        add(method, pattern, options, handler, immediate: nil)
    }

    /// A route without parameters whose handler waits for nobody: answered where the request was read, with no task
    /// and no limit beside it.
    package mutating func onImmediate(
        _ method: HTTPRequest.Method,
        _ pattern: String,
        options: RouteOptions = RouteOptions(),
        handler: @escaping ImmediateHandler
    ) {
        add(method, pattern, options, { request, _ in try handler(request) }, immediate: handler)
    }

    private mutating func add(
        _ method: HTTPRequest.Method,
        _ pattern: String,
        _ options: RouteOptions,
        _ handler: @escaping Handler,
        immediate: ImmediateHandler?
    ) {
        let segments = pattern.split(separator: "/").map(Segment.init)
        let parameterCount = segments.count(where: \.isParameter)
        if parameterCount == 0 {
            literal[pattern.split(separator: "/").map(String.init), default: []].append(routes.count)
        } else {
            parametric[segments.count, default: []].append(routes.count)
        }
        routes.append(
            Route(
                method: method,
                pattern: pattern,
                segments: segments,
                options: options,
                handler: handler,
                immediate: parameterCount == 0 ? immediate : nil,
                parameterCount: parameterCount
            )
        )
    }

    /// Every route as (method, pattern).
    package var table: [(HTTPRequest.Method, String)] { routes.map { ($0.method, $0.pattern) } }

    /// The route for a method and path, if there is one.
    package func match(_ method: HTTPRequest.Method, _ path: [String]) -> Match? {
        let wanted = method == .head ? HTTPRequest.Method.get : method
        guard let index = there(path).first(where: { routes[$0].method == wanted }) else { return nil }
        return Match(pattern: routes[index].pattern, options: routes[index].options, number: index)
    }

    /// The routes of the pattern that fits a path best: one without parameters before one with.
    private func there(_ path: [String]) -> [Int] {
        if let written = literal[path] { return written }
        let matching = (parametric[path.count] ?? []).filter { Self.matches(routes[$0].segments, path) }
        guard matching.count > 1, let fewest = matching.map({ routes[$0].parameterCount }).min() else {
            return matching
        }
        return matching.filter { routes[$0].parameterCount == fewest }
    }

    /// Answers a request; never throws: what a handler throws past the middleware is a 500.
    package func respond(to request: ServerRequest) async -> ServerResponse {
        await respond(to: request, match: request.isServerWide ? nil : match(request.method, request.path))
    }

    /// The same with the route that `match` has found before.
    func respond(to request: ServerRequest, match: Match?) async -> ServerResponse {
        let route = match.map { routes[$0.number] }
        // From the inside out.
        var next: Next = { [self] request in
            guard let route else { return errorResponse(failure(request), request.id) }
            if let refusal = Self.refusal(request, route.options) { return errorResponse(refusal, request.id) }
            return try await route.handler(request, Self.parameters(route.segments, request.path))
        }
        for layer in middleware.reversed() {
            let inner = next
            next = { try await layer($0, route?.pattern, inner) }
        }
        do {
            return try await next(request)
        } catch {
            return errorResponse(Self.failed, request.id)
        }
    }

    /// The answer of an immediate route; nil for every other, which `respond` answers. Never throws either.
    func respondAtOnce(to request: ServerRequest, match: Match) -> ServerResponse? {
        let route = routes[match.number]
        guard let handler = route.immediate, immediateMiddleware.count == middleware.count else { return nil }
        var next: ImmediateHandler = { [self] request in
            if let refusal = Self.refusal(request, route.options) { return errorResponse(refusal, request.id) }
            return try handler(request)
        }
        for layer in immediateMiddleware.reversed() {
            let inner = next
            next = { try layer($0, route.pattern, inner) }
        }
        do {
            return try next(request)
        } catch {
            return errorResponse(Self.failed, request.id)
        }
    }

    /// Whether `respondAtOnce` answers.
    func isImmediate(_ match: Match) -> Bool {
        routes[match.number].immediate != nil && immediateMiddleware.count == middleware.count
    }

    private static let failed = HTTPFailure(500, "the request failed")

    private func failure(_ request: ServerRequest) -> HTTPFailure {
        let there = request.isServerWide ? routes : there(request.path).map { routes[$0] }
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
