import HTTPServer
import HTTPTypes
import Runtime

/// What vendors call: no token, but a signature over the raw body.
struct HookRoutes: Sendable {
    /// An order with many lines is longer than what our own clients send.
    static let bodyBytesMax = 1_048_576
    let ports: APIPorts

    var routes: [APIRoute] {
        [
            APIRoute(.post, "/hooks/shopify", .open, changes: false, bodyMax: Self.bodyBytesMax) {
                try await shopify($0)
            }
        ]
    }

    private func shopify(_ request: APIRequest) async throws -> ServerResponse {
        // Without a shop nobody's signature is known, so whoever calls is told the same as with a wrong one.
        guard let receive = ports.shopifyHook else { throw Self.unsigned }
        var headers: [String: String] = [:]
        for field in request.request.headers { headers[field.name.canonicalName] = field.value }
        switch try await receive(HookDelivery(headers: headers, body: request.request.body)) {
        case .kept: return .json(["success": true, "message": "Kept; the next pull reads it again"])
        case .duplicate: return .json(["success": true, "message": "Delivered before"])
        case .unsigned: throw Self.unsigned
        case .refused(let reason):
            throw Problem(.badRequest, status: 400, "The webhook is not usable", detail: reason)
        }
    }

    private static let unsigned = Problem(
        .tokenInvalid,
        status: 401,
        "Not signed",
        detail: "The signature is not that of a configured shop."
    )
}
