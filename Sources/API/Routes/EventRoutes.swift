import Engine
import Foundation
import HTTPServer
import HTTPTypes
import Runtime

/// Streams of what happens to runs.
struct EventRoutes: Sendable {
    private static let type = "text/event-stream"
    let ports: APIPorts

    var routes: [APIRoute] {
        [
            APIRoute(.get, "/api/etl/events", .read, isLong: true, produces: Self.type) { try await all($0) },
            APIRoute(.get, "/api/etl/runs/{id}/events", .read, isLong: true, produces: Self.type) { try await one($0) },
        ]
    }

    private func all(_ request: APIRequest) async throws -> ServerResponse {
        try request.allowQuery()
        let runs = ports.runs
        return try EventStream(hub: ports.events).response(
            run: nil,
            lastEventID: request.lastEventID,
            until: request.caller.expires
        ) {
            try await runs.runs(RunsQuery(state: .running, limit: 50)).map {
                RunAnswer.run($0, progress: runs.progress($0.id))
            }
        }
    }

    private func one(_ request: APIRequest) async throws -> ServerResponse {
        try request.allowQuery()
        let runs = ports.runs
        let text = request.parameter("id")
        guard let id = RunID(text), try await runs.run(id) != nil else { throw Problem.runUnknown(text) }
        return try EventStream(hub: ports.events).response(
            run: id,
            lastEventID: request.lastEventID,
            until: request.caller.expires
        ) {
            try await runs.run(id).map { [RunAnswer.run($0, progress: runs.progress(id))] } ?? []
        }
    }
}

extension APIRequest {
    fileprivate var lastEventID: String? {
        guard let name = HTTPField.Name("Last-Event-ID"), let id = request.headers[name], id.utf8.count <= 64 else {
            return nil
        }
        return id
    }
}
