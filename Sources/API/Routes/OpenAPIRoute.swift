import Crypto
import Foundation
import HTTPServer
import HTTPTypes

/// The API's description, compiled in.
enum OpenAPIRoute {
    private static let document = StaticAnswer(PackageResources.openapi_json, type: "application/json")

    static var routes: [APIRoute] {
        [APIRoute(immediate: "/openapi.json") { document.response(to: $0.request) }]
    }
}

/// Bytes that never change while the process lives, with an entity tag (RFC 9110 §8.8.3).
struct StaticAnswer: Sendable {
    private let bytes: [UInt8]
    private let type: String
    private let tag: String

    init(_ bytes: [UInt8], type: String) {
        self.bytes = bytes
        self.type = type
        let digest = SHA256.hash(data: Data(bytes)).prefix(12).map { String($0, radix: 36) }.joined()
        tag = "\"\(digest)\""
    }

    /// 304 when the client has these bytes already.
    func response(to request: ServerRequest, headers more: HTTPFields = [:]) -> ServerResponse {
        var headers: HTTPFields = [.eTag: tag, .cacheControl: "no-cache"]
        for field in more { headers[field.name] = field.value }
        let known = (request.headers[.ifNoneMatch] ?? "").split(separator: ",").contains { candidate in
            let trimmed = candidate.trimmingCharacters(in: .whitespaces)
            return trimmed == "*" || trimmed == tag || trimmed == "W/\(tag)"
        }
        if known { return ServerResponse(status: .notModified, headers: headers) }
        headers[.contentType] = type
        return ServerResponse(status: .ok, headers: headers, body: .bytes(bytes))
    }
}
