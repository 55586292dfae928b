package import Engine
import Foundation
import HTTPServer
import HTTPTypes
package import Runtime

/// Positions of all databases: to look at, and to move back for a replay.
struct WatermarkRoutes: Sendable {
    static let path = "/api/etl/watermarks/{database}/{source}/{table}/{account}"
    let ports: APIPorts

    var routes: [APIRoute] {
        [
            APIRoute(.get, "/api/etl/watermarks", .read) { request in
                try request.allowQuery()
                let list = try await ports.watermarks.list()
                return .json(["success": true, "watermarks": .array(list.map(WatermarkAnswer.body))])
            },
            APIRoute(.get, Self.path, .read) { try await show($0) },
            APIRoute(.put, Self.path, .admin) { try await set($0) },
            APIRoute(.delete, Self.path, .admin) { try await delete($0) },
        ]
    }

    private func key(_ request: APIRequest) throws -> WatermarkKey {
        try request.allowQuery("scope")
        return WatermarkKey(
            source: request.parameter("source"),
            table: request.parameter("table"),
            accountID: request.parameter("account"),
            scope: request.queryValue("scope") ?? ""
        )
    }

    private func show(_ request: APIRequest) async throws -> ServerResponse {
        let key = try key(request)
        let database = request.parameter("database")
        let all = try await ports.watermarks.list()
        guard let found = all.first(where: { $0.database == database && $0.stored.key == key }) else {
            throw Self.unknown
        }
        return .json(["success": true, "watermark": WatermarkAnswer.body(found)])
    }

    private func set(_ request: APIRequest) async throws -> ServerResponse {
        try request.checkMediaType()
        let key = try key(request)
        let watermark = try Self.read(request.request.body)
        try await ports.watermarks.set(key, to: watermark, in: request.parameter("database"))
        return .json(["success": true, "message": "The next run reads from there"])
    }

    private func delete(_ request: APIRequest) async throws -> ServerResponse {
        let key = try key(request)
        guard try await ports.watermarks.delete(key, in: request.parameter("database")) else { throw Self.unknown }
        return .json(["success": true, "message": "The next run reads everything"])
    }

    /// `{"cursorTs", "cursorValue", "cursorId"}`; at least one of the first two.
    private static func read(_ body: [UInt8]) throws -> Watermark {
        guard let members = (try? JSONText.parse(body))?.object else {
            throw Problem(
                .badRequest,
                status: 400,
                "The request is not valid",
                detail: "The body must be a JSON object."
            )
        }
        var watermark = Watermark()
        for (field, value) in members.sorted(by: { $0.key < $1.key }) where value != .null {
            guard let text = value.string, !text.isEmpty, text.utf8.count <= 200 else {
                throw Problem.body(String(field.prefix(64)), "Each field must be a text of 1 to 200 bytes.")
            }
            switch field {
            case "cursorTs":
                guard let instant = Timestamp.parse(text) else {
                    throw Problem.body(field, "\"cursorTs\" must be an instant such as 2026-11-20T00:00:00Z.")
                }
                watermark.instant = instant
            case "cursorValue": watermark.value = text
            case "cursorId": watermark.id = text
            default:
                throw Problem.body(
                    String(field.prefix(64)),
                    "Unknown field; known here: cursorTs, cursorValue, cursorId."
                )
            }
        }
        guard watermark.instant != nil || watermark.value != nil else {
            throw Problem.body("cursorTs", "\"cursorTs\" or \"cursorValue\" must say where the next run begins.")
        }
        return watermark
    }

    private static let unknown = Problem(
        .watermarkUnknown,
        status: 404,
        "No such watermark",
        detail: "There is no watermark with this key."
    )
}

/// A watermark as JSON; the command line prints the same.
package enum WatermarkAnswer {
    package static func body(_ one: OperatorWatermark) -> JSONValue {
        let (key, watermark) = (one.stored.key, one.stored.watermark)
        return [
            "database": .string(one.database), "source": .string(key.source), "table": .string(key.table),
            "accountId": .string(key.accountID), "scope": .string(key.scope),
            "cursorTs": watermark.instant.map { .string(Timestamp.microseconds($0)) } ?? .null,
            "cursorValue": watermark.value.map { .string($0) } ?? .null,
            "cursorId": watermark.id.map { .string($0) } ?? .null,
            "updatedAt": .string(Timestamp.text(one.stored.updatedAt)),
        ]
    }
}
