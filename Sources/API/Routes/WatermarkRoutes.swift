package import Engine
import Foundation
import HTTPServer
import HTTPTypes
package import Runtime

/// Positions of all databases: to look at, and to move back for a replay.
struct WatermarkRoutes: Sendable {
    /// The second form is for sources without accounts: an empty segment at the end is none.
    static let paths = [
        "/api/etl/watermarks/{database}/{source}/{table}/{account}", "/api/etl/watermarks/{database}/{source}/{table}",
    ]
    static let scopesRange = 1...10_000
    let ports: APIPorts

    var routes: [APIRoute] {
        [
            APIRoute(.get, "/api/etl/watermarks", .read) { request in
                try request.allowQuery("source", "scopes")
                let scopes = try request.queryInt("scopes", in: Self.scopesRange, default: 50)
                let list = try await ports.watermarks.list(source: request.queryValue("source"), scopes: scopes)
                return .json([
                    "success": true, "watermarks": .array(list.marks.map(WatermarkAnswer.body)),
                    "truncated": .bool(list.isCut),
                ])
            }
        ]
            + Self.paths.flatMap { path in
                [
                    APIRoute(.get, path, .read) { try await show($0) },
                    APIRoute(.put, path, .admin) { try await set($0) },
                    APIRoute(.delete, path, .admin) { try await delete($0) },
                ]
            }
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
        guard let found = try await ports.watermarks.find(key, in: database) else { throw Self.unknown }
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
            guard let text = value.string, !text.isEmpty, text.utf8.count <= 200, !text.utf8.contains(0) else {
                let expected = "Each field must be a text of 1 to 200 bytes, without U+0000."
                throw Problem.body(String(field.prefix(64)), expected)
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
