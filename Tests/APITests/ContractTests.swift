import API
import Foundation
import HTTPServer
import HTTPTypes
import Logging
import Runtime
import StreamCompression
import TestKit
import Testing

/// What holds answers against the document must itself find what is wrong.
@Suite struct ContractCheckerTests {
    private static func problems(_ method: String, _ path: String, _ status: Int, _ type: String, _ body: String) throws
        -> [String]
    {
        let answer = OpenAPIContract.Answer(status: status, contentType: type, body: Array(body.utf8))
        return try Daemon.contract().problems(method, path, answer)
    }

    @Test func whatIsDescribedPasses() throws {
        let live = #"{"status": "alive", "timestamp": "2026-11-21T08:00:00.000Z"}"#
        #expect(try Self.problems("GET", "/live", 200, "application/json; charset=utf-8", live) == [])
    }

    @Test(arguments: [
        (200, "application/json", #"{"status": "alive"}"#, "$ lacks \"timestamp\""),
        (200, "application/json", #"{"status": "dead", "timestamp": "2026-11-21T08:00:00Z"}"#, "$.status is not"),
        (
            200, "application/json", #"{"status": "alive", "timestamp": "today"}"#,
            "$.timestamp does not match date-time"
        ),
        (200, "application/json", #"{"status": "alive", "timestamp": 7}"#, "$.timestamp is not of type"),
        (200, "text/plain", "alive", "media type text/plain is not described"),
        (200, "application/json", "alive", "the body is not JSON"),
        (418, "application/json", "{}", "a status that is not described"),
        (503, "application/problem+json", #"{"title": "x"}"#, "$ lacks \"type\""),
    ])
    func whatIsNotIsFound(status: Int, type: String, body: String, problem: String) throws {
        let found = try Self.problems("GET", "/live", status, type, body)
        #expect(found.contains { $0.contains(problem) }, "\(found)")
    }

    @Test func everyKeywordOfOurSchemasIsKnown() throws {
        let document = try JSONText.parse(
            Array(
                Data(
                    contentsOf: URL(filePath: #filePath).deletingLastPathComponent()
                        .appending(path: "../../Sources/API/OpenAPI/openapi.json")
                )
            )
        )
        let schema = JSONSchema(document: document)
        for (name, rule) in document["components"]?["schemas"]?.object ?? [:] {
            for value: JSONValue in [
                .null, "x", 1, 1.5, true, ["x"], ["a": "x", "timestamp": "x", "jobs": [["job": 1]]],
            ] {
                let unknown = schema.problems(value, rule).filter { $0.contains("the checker does not know") }
                #expect(unknown == [], "\(name)")
            }
        }
    }

    @Test(arguments: [
        (#"{"type": "object", "additionalProperties": false}"#, #"{"x": 1}"#, false),
        (#"{"type": "object", "additionalProperties": {"type": "boolean"}}"#, #"{"x": true}"#, true),
        (#"{"anyOf": [{"type": "null"}, {"type": "integer"}]}"#, #""x""#, false),
        (#"{"type": ["integer", "null"], "minimum": 1, "maximum": 3}"#, "4", false),
        (#"{"type": "string", "minLength": 2, "pattern": "^[a-z]+$"}"#, #""a1""#, false),
        (#"{"type": "array", "items": {"enum": ["a", "b"]}}"#, #"["a", "c"]"#, false),
        (#"{"type": "integer"}"#, "1.5", false), (#"{"format": "email"}"#, #""a@b""#, false),
        (#"{"uniqueItems": true}"#, "[]", false), (#"{"oneOf": [{"type": "number"}, {"const": 1}]}"#, "1", false),
        (#"{"allOf": [{"type": "string"}, {"const": "x"}]}"#, #""x""#, true),
    ])
    func schemasDecide(schema: String, value: String, fits: Bool) throws {
        let rule = try JSONText.parse(Array(schema.utf8))
        let problems = JSONSchema(document: .null).problems(try JSONText.parse(Array(value.utf8)), rule)
        #expect(problems.isEmpty == fits, "\(problems)")
    }
}

@Suite struct NegotiationTests {
    private static func page(_ accepted: String?) async throws -> (headers: HTTPFields, bytes: [UInt8]) {
        var daemon = Daemon()
        daemon.access = AccessSettings(keys: [])
        var ports = daemon.ports()
        ports.metricsText = { String(repeating: "http_requests_total{route=\"/live\"} 1\n", count: 100) }
        let router = APIRoutes.router(ports, gate: await Gate(daemon.access), logger: Logger(label: "test"))
        var headers: HTTPFields = [:]
        headers[.acceptEncoding] = accepted
        let response = await router.respond(to: Fixture.request(.get, "/metrics", headers: headers))
        guard case .bytes(let bytes) = response.body else { return (response.allHeaders, []) }
        return (response.allHeaders, bytes)
    }

    @Test(arguments: ["gzip", "deflate, GZIP;q=0.5", "*", "x-gzip", "br;q=1, *;q=0.1"])
    func metricsAreCompressedWhenAsked(accepted: String) async throws {
        let plain = try await Self.page(nil).bytes
        let page = try await Self.page(accepted)
        #expect(page.headers[.contentEncoding] == "gzip")
        #expect(page.headers[.vary] == "Accept-Encoding")
        #expect(page.bytes.count < plain.count / 4)
        let reader = try GzipReader()
        var back: [UInt8] = []
        try await reader.read(page.bytes) { back += $0 }
        try reader.finish()
        #expect(back == plain)
    }

    @Test(arguments: [nil, "", "identity", "gzip;q=0", "br, deflate", "*;q=0", "*, gzip;q=0.000"])
    func elseTheyAreNot(accepted: String?) async throws {
        let page = try await Self.page(accepted)
        #expect(page.headers[.contentEncoding] == nil)
        #expect(page.headers[.vary] == "Accept-Encoding", "a cache must not give one's answer to the other")
        #expect(page.bytes.starts(with: "http_requests_total".utf8))
    }

    @Test func aShortPageIsNotWorthIt() async throws {
        let answer = try await Daemon().send(.get, "/metrics", headers: [.acceptEncoding: "gzip"])
        #expect(answer.headers[.contentEncoding] == nil)
    }

    @Test(arguments: [
        ("/live", "text/html", 406), ("/live", "application/json;q=0", 406), ("/live", "application/*", 200),
        ("/metrics", "application/json", 406), ("/metrics", "application/openmetrics-text, text/plain;q=0.2", 200),
        ("/api/etl/events", "application/json", 406), ("/live", "text/html, */*;q=0.1", 200),
    ])
    func whatTheClientCannotTakeIs406(path: String, accept: String, status: Int) async throws {
        let answer = try await Daemon().send(.get, path, headers: [.accept: accept])
        #expect(answer.status == status)
        if status == 406 { #expect(answer.body["type"] == "urn:tallyman:problem:not-acceptable") }
    }
}
