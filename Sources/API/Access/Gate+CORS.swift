import HTTPServer
import HTTPTypes

/// Answers for scripts of the origins that the settings name; for all others there is no CORS at all.
extension Gate {
    /// The answer to a CORS preflight of a named origin, nil for any other request.
    func preflight(_ method: HTTPRequest.Method, _ headers: HTTPFields) -> ServerResponse? {
        guard method == .options, headers[.accessControlRequestMethod] != nil, let origin = headers[.origin],
            allows(origin: origin)
        else { return nil }
        return ServerResponse(
            status: .noContent,
            headers: [
                .accessControlAllowMethods: "GET, POST, PUT, DELETE", .accessControlMaxAge: "600",
                .accessControlAllowHeaders:
                    "Authorization, Content-Type, Prefer, X-Request-Id, Idempotency-Key, Last-Event-ID",
            ],
            body: .bytes([])
        )
    }

    /// Where an origin is named, every answer depends on who asks, also the one to somebody else: a cache is told so.
    func addCORS(to headers: inout HTTPFields, origin: String?) {
        guard namesOrigins else { return }
        headers[.vary] = headers[.vary].map { "\($0), Origin" } ?? "Origin"
        guard let origin, allows(origin: origin) else { return }
        headers[.accessControlAllowOrigin] = origin
        headers[.accessControlExposeHeaders] = "ETag, Location, Preference-Applied, Retry-After, X-Request-Id"
        // Fetch lets the page read the answer only when this says so too.
        if let policy = HTTPField.Name("Cross-Origin-Resource-Policy") { headers[policy] = "cross-origin" }
    }
}
