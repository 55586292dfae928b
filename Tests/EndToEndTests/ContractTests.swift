import Foundation
import Runtime
import TestKit
import Testing

/// Every route of the real daemon is asked, and every answer held against its schema in the document it serves.
@Suite struct ContractTests {
    /// Asks, checks, and remembers which operations have succeeded.
    private final class Client {
        let daemon: RunningDaemon
        let contract: OpenAPIContract
        private let token: String
        private(set) var succeeded: Set<OpenAPIContract.Operation> = []

        init(_ daemon: RunningDaemon) async throws {
            self.daemon = daemon
            token = try await RunningDaemon.token()
            contract = OpenAPIContract(document: try await daemon.send("GET", "/openapi.json").json)
        }

        @discardableResult
        func ask(
            _ method: String,
            _ path: String,
            _ body: String? = nil,
            expect status: Int = 200,
            isAnonymous: Bool = false
        ) async throws -> RawAnswer {
            let answer = try await daemon.send(method, path, token: isAnonymous ? nil : token, body: body)
            #expect(answer.status == status, "\(method) \(path): \(answer.text)")
            let seen = OpenAPIContract.Answer(
                status: answer.status,
                contentType: answer.fields["content-type"],
                body: answer.body
            )
            #expect(contract.problems(method, path, seen) == [])
            if (200..<300).contains(answer.status), let operation = contract.operation(method, path) {
                succeeded.insert(operation)
            }
            return answer
        }

        /// Reads the beginning of a stream; the connection is then dropped, as a browser that leaves does.
        func watch(_ path: String, until text: String) async throws {
            let client = try RawClient(port: daemon.port)
            client.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(token)\r\n\r\n")
            try await client.wait(for: text)
            let heard = client.heard.value.text
            #expect(heard.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(heard.lowercased().contains("content-type: text/event-stream"))
            client.close()
            if let operation = contract.operation("GET", path) { succeeded.insert(operation) }
        }
    }

    private static func brokenProduct() -> [UInt8] {
        BSONWriter.document { writer in
            writer.append("_id", objectID: ShopDocuments.id(50_000))
            writer.append("title", string: "A price nobody can read")
            writer.append("price", string: "dear")
        }
    }

    @Test func everyOperationAnswersAsDescribed() async throws {
        let shop = try Shop(products: 50)
        try shop.source.insert(Self.brokenProduct(), into: "products")
        let daemon = try await RunningDaemon(shop.settings())
        let client = try await Client(daemon)
        try await askProbes(client)
        let first = try await client.ask("POST", "/api/etl/sync", "{\"batchSize\": 20}")
        #expect(first.json["state"] == "partial")
        #expect(first.json["results"]?["productSync"]?["syncedProducts"] == 50)
        let run = try #require(first.json["runId"]?.string)
        try await client.ask("GET", "/api/etl/validate")
        try await client.ask("GET", "/api/etl/runs?limit=1&job=product_sync")
        try await client.ask("GET", "/api/etl/runs/\(run)")
        try await client.ask("GET", "/api/etl/runs/\(run)/log")
        try await client.ask("POST", "/api/etl/runs/\(run)/difference", "{\"key\": \"nothing\"}")
        for path in ["overview", "timeline?hours=1"] { try await client.ask("GET", "/api/etl/\(path)") }
        for path in ["", "console.css", "console.js", "console.svg"] { try await client.ask("GET", "/\(path)") }
        try await client.ask("GET", "/api/etl/runs/none", expect: 404)
        try await client.ask("POST", "/api/etl/runs/\(run)/cancel", expect: 409)
        try await client.ask("POST", "/api/etl/jobs/health_check/run", "{}")
        try await client.ask("POST", "/api/etl/jobs/none/run", expect: 404)
        try await client.watch("/api/etl/runs/\(run)/events", until: "event: ")
        try await askDeadLetters(client)
        try await askSchedules(client)
        try await askWatermarks(client)
        try await cancelOne(client, shop)
        // These need settings of other features, whose own tests see them succeed.
        let elsewhere = client.contract.operations.filter { ["/docs/{name}", "/hooks/shopify"].contains($0.path) }
        let missing = Set(client.contract.operations).subtracting(client.succeeded).subtracting(elsewhere)
        #expect(missing == [], "never seen to succeed")
        try await daemon.stop()
    }

    private func askProbes(_ client: Client) async throws {
        for path in ["/live", "/ready", "/health", "/api/etl/live", "/api/etl/ready", "/api/etl/health"] {
            try await client.ask("GET", path, isAnonymous: true)
            try await client.ask("HEAD", path, isAnonymous: true)
        }
        for path in ["/metrics", "/openapi.json", "/api/etl/status", "/api/etl/scheduler/status"] {
            try await client.ask("GET", path, isAnonymous: true)
        }
        for path in ["/api/etl/stats", "/api/etl/jobs", "/api/etl/runs", "/api/etl/status"] {
            try await client.ask("GET", path)
        }
        try await client.ask("GET", "/nowhere", expect: 404)
        try await client.ask("PUT", "/live", expect: 405)
        try await client.ask("OPTIONS", "/live", expect: 204)
    }

    private func askDeadLetters(_ client: Client) async throws {
        let letters = try await client.ask("GET", "/api/etl/dead-letters?limit=1").json["deadLetters"]?.array ?? []
        let id = try #require(letters.first?["id"]?.string)
        try await client.ask("POST", "/api/etl/dead-letters/\(id)/retry")
        try await client.ask("POST", "/api/etl/dead-letters/retry?job=product_sync")
        try await client.ask("DELETE", "/api/etl/dead-letters/\(id)")
        try await client.ask("DELETE", "/api/etl/dead-letters/\(id)", expect: 404)
    }

    private func askSchedules(_ client: Client) async throws {
        try await client.ask("POST", "/api/etl/scheduler/start")
        let stopped = try await client.ask("POST", "/api/etl/scheduler/stop")
        #expect(stopped.json["scheduler"]?["changedBy"] == "ada")
        for verb in ["pause", "resume"] {
            try await client.ask("POST", "/api/etl/schedules/product_sync/\(verb)")
            try await client.ask("POST", "/api/etl/schedules/none/\(verb)", expect: 404)
        }
        try await client.ask("POST", "/api/etl/schedules/health_check/run-now")
        try await client.ask("POST", "/api/etl/config/reload")
    }

    private func askWatermarks(_ client: Client) async throws {
        let path = "/api/etl/watermarks/cart/shopify/sales/acme%20ltd"
        try await client.ask("GET", path, expect: 404)
        try await client.ask("PUT", path, "{\"cursorTs\": \"2026-11-01T00:00:00Z\", \"cursorId\": \"17\"}")
        #expect(try await client.ask("GET", path).json["watermark"]?["accountId"] == "acme ltd")
        try await client.ask("GET", "/api/etl/watermarks")
        let plain = "/api/etl/watermarks/cart/retail/sales"
        try await client.ask("PUT", plain, "{\"cursorValue\": \"17\"}")
        #expect(try await client.ask("GET", plain).json["watermark"]?["accountId"] == "")
        try await client.ask("DELETE", plain)
        try await client.ask("PUT", path, "{}", expect: 400)
        try await client.ask("DELETE", path)
        try await client.ask("DELETE", path, expect: 404)
    }

    /// A run that is held at the source can be seen, watched, met with 409, and cancelled.
    private func cancelOne(_ client: Client, _ shop: Shop) async throws {
        let gate = StandInGate()
        shop.source.script(StandInFault(.hold(gate), on: ["find"]))
        let held = try await client.daemon.send(
            "POST",
            "/api/etl/sync",
            token: RunningDaemon.token(),
            fields: ["Prefer": "respond-async"],
            body: "{}"
        )
        #expect(held.status == 202)
        let run = try #require(held.json["runId"]?.string)
        try await gate.waitForArrival()
        try await client.watch("/api/etl/events", until: run)
        try await client.ask("GET", "/api/etl/status", isAnonymous: true)
        try await client.ask("POST", "/api/etl/sync", "{}", expect: 409)
        try await client.ask("POST", "/api/etl/runs/\(run)/cancel", expect: 202)
        gate.open()
    }

    /// Whoever brings no token, or one without the scope, gets nothing that is not open.
    @Test func withoutATokenOnlyWhatIsOpenAnswers() async throws {
        let shop = try Shop(products: 3)
        let daemon = try await RunningDaemon(shop.settings())
        let document = try await daemon.send("GET", "/openapi.json").json
        let contract = OpenAPIContract(document: document)
        let scopeless = try await RunningDaemon.token("etl:other")
        for operation in contract.operations {
            let path = operation.path.replacing(#/\{\w+\}/#, with: "x")
            let scope = document["paths"]?[operation.path]?[operation.method.lowercased()]?["x-scope"]
            for (token, refusal) in [(nil, 401), (scopeless, 403), ("x.y.z", 401)] {
                let answer = try await daemon.send(operation.method, path, token: token)
                let seen = OpenAPIContract.Answer(
                    status: answer.status,
                    contentType: answer.fields["content-type"],
                    body: answer.body
                )
                #expect(contract.problems(operation.method, path, seen) == [])
                if operation.path.hasPrefix("/hooks/") {
                    // No token opens it, only a signature.
                    #expect(answer.status == 401, "\(operation)")
                    continue
                }
                #expect(answer.status == (scope == nil ? 200 : refusal), "\(operation)")
                if answer.status == 401 { #expect(answer.fields["www-authenticate"]?.hasPrefix("Bearer") == true) }
            }
        }
        try await daemon.stop()
    }
}
