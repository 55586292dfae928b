package import HTTPServer
import HTTPTypes
import Runtime

extension ServerResponse {
    /// A JSON answer; `Cache-Control: no-store` is added at the edge.
    static func json(_ body: JSONValue, status: Int = 200, headers: HTTPFields = [:]) -> ServerResponse {
        var headers = headers
        headers[.contentType] = "application/json; charset=utf-8"
        return ServerResponse(
            status: HTTPResponse.Status(integerLiteral: status),
            headers: headers,
            body: .bytes(Array(body.text.utf8))
        )
    }

    /// An error answer (RFC 9457).
    package static func problem(_ problem: Problem, requestID: String?) -> ServerResponse {
        var headers: HTTPFields = [.contentType: "application/problem+json"]
        for (name, value) in problem.headers {
            if let field = HTTPField.Name(name) { headers[field] = value }
        }
        return ServerResponse(
            status: HTTPResponse.Status(integerLiteral: problem.status),
            headers: headers,
            body: .bytes(Array(problem.document(requestID: requestID).text.utf8))
        )
    }
}
