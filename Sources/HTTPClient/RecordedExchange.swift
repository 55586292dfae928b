package import Foundation
import Runtime
import Synchronization

/// An exchange as it was recorded: what was asked and what came back.
package struct RecordedExchange: Sendable, Codable {
    package struct Asked: Sendable, Codable {
        package var method: String
        package var path: String
        /// Each must stand somewhere in the request's body or query.
        package var contains: [String]?

        package init(method: String, path: String, contains: [String]? = nil) {
            self.method = method
            self.path = path
            self.contains = contains
        }
    }
    package struct Answered: Sendable, Codable {
        package var status: Int
        package var headers: [String: String]?
        package var body: String

        package init(status: Int, headers: [String: String]? = nil, body: String) {
            self.status = status
            self.headers = headers
            self.body = body
        }
    }
    package var request: Asked
    package var response: Answered

    package init(request: Asked, response: Answered) {
        self.request = request
        self.response = response
    }
}

/// A transport for tests that answers from a recording, in order.
///
/// A request that is not the next one recorded fails with `.protocolViolation`; `requests` is what was sent.
package final class RecordedTransport: HTTPTransport {
    private struct State {
        var left: [RecordedExchange]
        var requests: [OutboundRequest] = []
    }
    private let state: Mutex<State>

    package init(_ exchanges: [RecordedExchange]) {
        state = Mutex(State(left: exchanges))
    }

    /// Reads a JSON array of exchanges.
    package convenience init(json: Data) throws {
        self.init(try JSONDecoder().decode([RecordedExchange].self, from: json))
    }

    package var requests: [OutboundRequest] { state.withLock { $0.requests } }
    package var unused: Int { state.withLock { $0.left.count } }

    package func send(_ request: OutboundRequest, limits: ExchangeLimits) async throws -> OutboundResponse {
        try Task.checkCancellation()
        let next = state.withLock { state -> RecordedExchange? in
            state.requests.append(request)
            return state.left.isEmpty ? nil : state.left.removeFirst()
        }
        let text = String(decoding: request.body ?? [], as: UTF8.self) + (request.url.query() ?? "")
        guard let next, next.request.method == request.method.rawValue, next.request.path == request.url.path(),
            (next.request.contains ?? []).allSatisfy({ text.contains($0) })
        else {
            throw TallyError(.protocolViolation, during: "http.recorded", "\(request) is not what was recorded next")
        }
        let body = Array(next.response.body.utf8)
        guard body.count <= limits.bodyMax else {
            throw TallyError(.limitExceeded, during: "http.exchange", "the answer is longer than its ceiling")
        }
        return OutboundResponse(status: next.response.status, headers: next.response.headers ?? [:], body: body)
    }

    package func download(
        _ request: OutboundRequest,
        to file: URL,
        limits: ExchangeLimits
    ) async throws -> OutboundResponse {
        let answer = try await send(request, limits: limits)
        guard (200..<300).contains(answer.status) else { return answer }
        try Data(answer.body).write(to: file)
        return OutboundResponse(status: answer.status, headers: answer.headers)
    }
}
