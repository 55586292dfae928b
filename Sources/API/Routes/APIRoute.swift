package import HTTPServer
package import HTTPTypes

/// One route: where it is, who may use it, and what answers.
package struct APIRoute: Sendable {
    package typealias Handler = @Sendable (APIRequest) async throws -> ServerResponse

    package let method: HTTPRequest.Method
    package let path: String
    package let access: AccessLevel
    /// Changes something or starts work: a browser may not send it from another site.
    package let changes: Bool
    /// May take as long as a run does.
    package let isLong: Bool
    /// Bytes of a body beyond which it is refused before it is read.
    package let bodyMax: Int
    /// The handler again, of an open route that waits for nobody.
    package let immediate: (@Sendable (APIRequest) throws -> ServerResponse)?
    /// The media type of a successful answer; one that `Accept` does not admit is refused with 406.
    package let produces: String
    package let handler: Handler

    init(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ access: AccessLevel,
        changes: Bool? = nil,
        isLong: Bool = false,
        bodyMax: Int = APIRoutes.bodyBytesMax,
        produces: String = "application/json",
        _ handler: @escaping Handler
    ) {
        self.method = method
        self.path = path
        self.access = access
        self.changes = changes ?? (method != .get)
        self.isLong = isLong
        self.bodyMax = bodyMax
        immediate = nil
        self.produces = produces
        self.handler = handler
    }

    /// An open `GET` that waits for nobody and changes nothing.
    init(immediate path: String, _ handler: @escaping @Sendable (APIRequest) throws -> ServerResponse) {
        (method, self.path, access) = (.get, path, .open)
        (changes, isLong, bodyMax, produces) = (false, false, APIRoutes.bodyBytesMax, "application/json")
        immediate = handler
        self.handler = { try handler($0) }
    }
}

/// A request with its route's parameters and the caller it was admitted for.
package struct APIRequest: Sendable {
    package let request: ServerRequest
    package let parameters: PathParameters
    package let caller: Caller

    func parameter(_ name: String) -> String { parameters[name] ?? "" }

    func queryValue(_ name: String) -> String? {
        request.query.last { $0.0 == name }?.1
    }

    /// A whole number of the query, `fallback` when it is not there.
    func queryInt(_ name: String, in range: ClosedRange<Int>, default fallback: Int) throws -> Int {
        guard let text = queryValue(name) else { return fallback }
        guard let number = Int(text), range.contains(number) else {
            throw Problem.query(
                name,
                "\"\(name)\" must be a whole number from \(range.lowerBound) to \(range.upperBound)."
            )
        }
        return number
    }

    /// Refuses parameters the route does not know: a misspelt filter must not answer with everything. No value may hold
    /// a NUL, which no database takes.
    func allowQuery(_ names: String...) throws {
        for (name, value) in request.query {
            guard names.contains(name) else {
                throw Problem.query(
                    String(name.prefix(64)),
                    "Unknown parameter; known here: \(names.joined(separator: ", "))."
                )
            }
            guard !value.utf8.contains(0) else { throw Problem.query(name, "No text may hold U+0000.") }
        }
    }

    /// Whether the client asked for 202 instead of waiting (RFC 7240 §4.1).
    var prefersAsync: Bool {
        (request.headers[.prefer] ?? "").split(separator: ",").contains { preference in
            preference.split(separator: ";").first?.trimmingPrefix(while: { $0 == " " || $0 == "\t" })
                .prefix(while: { $0 != " " && $0 != "\t" }).lowercased() == "respond-async"
        }
    }

    /// A body that is there must be JSON; which also keeps a cross-site form from sending one.
    func checkMediaType() throws {
        guard !request.body.isEmpty else { return }
        let type = (request.headers[.contentType] ?? "").split(separator: ";").first?.lowercased() ?? ""
        let trimmed = type.filter { $0 != " " && $0 != "\t" }
        guard trimmed == "application/json" || trimmed.hasSuffix("+json") else {
            throw Problem(
                .mediaTypeUnsupported,
                status: 415,
                "Media type not supported",
                detail: "Send the body as Content-Type: application/json.",
                headers: ["Accept-Post": "application/json"]
            )
        }
    }
}

extension HTTPField.Name {
    static var prefer: HTTPField.Name { HTTPField.Name("Prefer") ?? .accept }
    static var preferenceApplied: HTTPField.Name { HTTPField.Name("Preference-Applied") ?? .accept }
    static let requestID = HTTPField.Name("X-Request-Id") ?? .accept
}
