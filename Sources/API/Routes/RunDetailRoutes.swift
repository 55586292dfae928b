import Engine
import Foundation
import HTTPServer
import HTTPTypes
import Logging
import Runtime
import Telemetry

/// What is known of a run beyond its record: what it said, and, for those who may see values, what differs.
struct RunDetailRoutes: Sendable {
    static let keyBytesMax = 1_000
    let ports: APIPorts
    private let logger = Logger(label: "api")

    init(ports: APIPorts) { self.ports = ports }

    var routes: [APIRoute] {
        [
            APIRoute(.get, "/api/etl/runs/{id}/log", .read) { try await log($0) },
            APIRoute(.post, "/api/etl/runs/{id}/difference", .admin) { try await difference($0) },
        ]
    }

    private func log(_ request: APIRequest) async throws -> ServerResponse {
        try request.allowQuery()
        let record = try await find(request)
        let page = RunLog.shared.page(of: record.id.description)
        let lines = page.lines.map { line -> JSONValue in
            [
                "at": .string(Timestamp.text(line.at)), "level": .string(line.level.rawValue),
                "message": .string(line.message), "keys": .object(line.keys.mapValues { .string($0) }),
            ]
        }
        return .json([
            "success": true, "runId": .string(record.id.description), "lines": .array(lines),
            "dropped": .int(page.dropped),
        ])
    }

    /// The key comes in the body and the values go out in the answer: neither ever stands in a URL or a log.
    private func difference(_ request: APIRequest) async throws -> ServerResponse {
        try request.checkMediaType()
        try request.allowQuery()
        let record = try await find(request)
        let key = try Self.key(request.request.body)
        guard let reader = ports.differences.first(where: { $0.job == record.job }) else {
            throw Problem.featureOff("Showing the values of \(record.job)")
        }
        logger.event(
            .notice,
            "row values were shown",
            [.runID: record.id.description, .job: record.job.rawValue, .holder: request.caller.name]
        )
        return .json(["success": true, "difference": try await reader.read(key)])
    }

    private static func key(_ body: [UInt8]) throws -> String {
        guard let members = (try? JSONText.parse(body))?.object else {
            throw Problem.body("key", "The body must be a JSON object with \"key\".")
        }
        for field in members.keys.sorted() where field != "key" {
            throw Problem.body(String(field.prefix(64)), "Unknown field; known here: key.")
        }
        guard let key = members["key"]?.string, (1...keyBytesMax).contains(key.utf8.count) else {
            throw Problem.body("key", "\"key\" must be a text of 1 to \(keyBytesMax) bytes.")
        }
        return key
    }

    private func find(_ request: APIRequest) async throws -> RunRecord {
        let text = request.parameter("id")
        guard let id = RunID(text), let record = try await ports.runs.run(id) else { throw Problem.runUnknown(text) }
        return record
    }
}
