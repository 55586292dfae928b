import API
import Foundation
import HTTPServer
import HTTPTypes
import Logging
import Runtime
import TestKit
import Testing

@testable import Engine

enum Fixture {
    static let id = RunID(rawValue: UUID(uuid: (1, 0x98, 0xC0, 0xDE, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1)))
    static let start = Date(timeIntervalSince1970: 1_768_473_000)

    static let counts: JSONValue = [
        "totalProductsInSource": 1000, "totalProductsInTarget": 950, "missingProducts": 50, "staleProducts": 3,
        "orphanedProducts": 2, "unchangedProducts": 947, "syncedProducts": 53, "deletedProducts": 0, "batches": 1,
    ]
    static let details: JSONValue = [
        "missingProductIds": ["a", "b"], "extraProductIds": [], "truncated": true, "idsMax": 100,
        "staleProducts": [["id": "c", "columns": ["price"]]], "errors": [],
    ]

    static func record(
        _ state: RunState,
        dryRun: Bool = false,
        counts: JSONValue = counts,
        deadLetters: Int = 0,
        error: RunError? = nil,
        id: RunID = id,
        heartbeat: Date = start,
        queued seconds: Double = 0
    ) -> RunRecord {
        RunRecord(
            id: id,
            job: "product_sync",
            trigger: .api,
            requestedBy: "ada",
            dryRun: dryRun,
            state: state,
            fence: 7,
            queuedAt: start.addingTimeInterval(seconds),
            startedAt: start,
            finishedAt: start.addingTimeInterval(2.5),
            heartbeatAt: heartbeat,
            progress: nil,
            summary: ["counts": counts, "details": details, "deadLetters": .int(deadLetters), "proof": "commandTags"],
            error: error
        )
    }

    static func request(
        _ method: HTTPRequest.Method,
        _ path: String,
        headers: HTTPFields = [:],
        body: String = ""
    ) -> ServerRequest {
        let parts = path.split(separator: "?", maxSplits: 1)
        let query =
            parts.count < 2
            ? []
            : parts[1].split(separator: "&").map { pair -> (String, String) in
                let sides = pair.split(separator: "=", maxSplits: 1).map(String.init)
                return (sides[0], sides.count > 1 ? sides[1] : "")
            }
        return ServerRequest(
            method: method,
            path: parts[0].split(separator: "/").map(String.init),
            query: query,
            headers: headers,
            body: Array(body.utf8),
            remoteAddress: "127.0.0.1",
            id: "request-1",
            host: "localhost:4000"
        )
    }
}

/// The routes over fakes, called without a socket.
struct Daemon {
    struct Answer {
        let status: Int
        let headers: HTTPFields
        let body: JSONValue
    }

    let runs = FakeRuns()
    let watermarks = FakeWatermarks()
    let events = EventHub(interval: .milliseconds(5))
    /// Answers by name; `probe` replaces one.
    var probes = [
        NamedProbe("productMongodb") { .ok },
        NamedProbe("postgresql") { .ok },
        NamedProbe("migrations", isConnection: false) { .ok },
    ]
    var isDraining = false
    var differences: [DifferenceReader] = []
    var access = AccessSettings(keys: [])

    func ports() -> APIPorts {
        let isDraining = isDraining
        return APIPorts(
            runs: runs,
            scheduler: FakeScheduler(),
            deadLetters: FakeDeadLetters(),
            watermarks: watermarks,
            events: events,
            probes: probes,
            stats: { ["source": ["count": 3]] },
            info: ServiceInfo(version: "1.2.3", memory: { MemoryUse(usedMiB: 12.34, totalMiB: 2048) }),
            metricsText: { "# metrics\n" },
            isDraining: { isDraining },
            differences: differences
        )
    }

    mutating func probe(_ name: String, answers result: ProbeResult) {
        probes = probes.map { old in
            old.name == name ? NamedProbe(name, isConnection: old.isConnection) { result } : old
        }
    }

    func send(
        _ method: HTTPRequest.Method,
        _ path: String,
        headers: HTTPFields = [:],
        body: String = ""
    ) async throws -> Answer {
        let router = APIRoutes.router(ports(), gate: await Gate(access), logger: Logger(label: "test"))
        let response = await router.respond(to: Fixture.request(method, path, headers: headers, body: body))
        // Whatever a test asks, the answer must be one that the document describes.
        var body: [UInt8] = []
        if case .bytes(let bytes) = response.body { body = bytes }
        let seen = OpenAPIContract.Answer(
            status: response.status.code,
            contentType: response.headers[.contentType],
            body: body
        )
        for problem in try Self.contract().problems(method.rawValue, path, seen) { Issue.record("\(problem)") }
        guard case .bytes(let bytes) = response.body else {
            return Answer(status: response.status.code, headers: response.allHeaders, body: .null)
        }
        return Answer(
            status: response.status.code,
            headers: response.allHeaders,
            body: (try? JSONText.parse(bytes)) ?? .null
        )
    }

    /// The document as it is compiled in.
    static func contract() throws -> OpenAPIContract { try document.get() }

    private static let document = Result {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Sources/API/OpenAPI/openapi.json")
        return OpenAPIContract(document: try JSONText.parse(Array(Data(contentsOf: file))))
    }

    func postJSON(_ path: String, _ body: String = "", headers: HTTPFields = [:]) async throws -> Answer {
        var headers = headers
        headers[.contentType] = "application/json"
        return try await send(.post, path, headers: headers, body: body)
    }
}
