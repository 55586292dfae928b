package import HTTPServer
import HTTPTypes
package import HTTPWire
import Runtime

extension ServerResponse {
    /// What the server or the router refused, as a problem; `OPTIONS` is answered with `Allow` alone.
    package static func refusal(_ failure: HTTPFailure, requestID: String?) -> ServerResponse {
        var response: ServerResponse
        if failure.status == 204 {
            response = ServerResponse(status: .noContent)
        } else {
            response = .problem(Problem(failure), requestID: requestID)
        }
        if !failure.allow.isEmpty { response.headers[.allow] = failure.allow.joined(separator: ", ") }
        return response
    }
}

extension Problem {
    /// The problem for a refusal of the HTTP layer.
    package init(_ failure: HTTPFailure) {
        let reason = failure.reason
        switch failure.status {
        case 404: self.init(.notFound, status: 404, "Not found", detail: reason)
        case 405: self.init(.methodNotAllowed, status: 405, "Method not allowed", detail: reason)
        case 406: self.init(.notAcceptable, status: 406, "Not acceptable", detail: reason)
        case 408: self.init(.requestTimeout, status: 408, "Too slow", detail: reason)
        case 413: self.init(.bodyTooLarge, status: 413, "Body too large", detail: reason)
        case 415: self.init(.mediaTypeUnsupported, status: 415, "Media type not supported", detail: reason)
        case 501, 505: self.init(.notImplemented, status: failure.status, "Not spoken here", detail: reason)
        case 503: self.init(.handlerTimeout, status: 503, "Too slow", detail: reason)
        case 500...: self.init(.internalError, status: failure.status, "The request failed", detail: reason)
        default: self.init(.badRequest, status: failure.status, "The request is not valid", detail: reason)
        }
    }
}
