import API
import Foundation
import HTTPServer
import HTTPTypes
import HTTPWire
import Logging
import Runtime
import Synchronization
import Testing

@testable import Engine

@Suite struct OperationRoutesTests {
    @Test(arguments: ["/live", "/ready", "/health", "/api/etl/live", "/api/etl/ready", "/api/etl/health"])
    func probesAreGreenWhenAllAnswer(path: String) async throws {
        #expect(try await Daemon().send(.get, path).status == 200)
    }

    @Test func aSilentDatabaseIsNotReadyButAlive() async throws {
        var daemon = Daemon()
        daemon.probe("productMongodb", answers: .failed("source-unreachable: no server answered"))
        let ready = try await daemon.send(.get, "/api/etl/ready")
        #expect(ready.status == 503)
        #expect(ready.body["reasons"] == ["productMongodb: source-unreachable: no server answered"])
        #expect(try await daemon.send(.get, "/live").status == 200)
        let health = try await daemon.send(.get, "/api/etl/health")
        #expect(health.status == 503)
        #expect(health.body["connections"] == ["productMongodb": false, "postgresql": true])
    }

    @Test func drainingIsNotReadyAndStartsNothing() async throws {
        var daemon = Daemon()
        daemon.isDraining = true
        #expect(try await daemon.send(.get, "/ready").status == 503)
        #expect(try await daemon.send(.get, "/live").status == 200)
        #expect(try await daemon.postJSON("/api/etl/sync").status == 503)
    }

    @Test func missingMigrationsAreNotReady() async throws {
        var daemon = Daemon()
        daemon.probe("migrations", answers: .failed("2 migrations are not applied"))
        #expect(try await daemon.send(.get, "/ready").body["reasons"] == ["migrations: 2 migrations are not applied"])
    }

    @Test func healthHasTheContractsKeys() async throws {
        let body = try await Daemon().send(.get, "/api/etl/health").body
        #expect(body["status"] == "healthy")
        #expect(body["service"] == "etl-service")
        #expect(body["version"] == "1.2.3")
        #expect(body["uptime"]?.int != nil)
        #expect(body["memory"] == ["used": 12.3, "total": 2048])
        #expect(body["connections"] == ["productMongodb": true, "postgresql": true])
    }

    @Test func everyAnswerIsHardened() async throws {
        let requestID = HTTPField.Name("X-Request-Id")!
        for path in ["/live", "/api/etl/runs/none", "/nowhere"] {
            let answer = try await Daemon().send(.get, path, headers: [requestID: "abc-1"])
            #expect(answer.headers[HTTPField.Name("X-Content-Type-Options")!] == "nosniff")
            #expect(answer.headers[.cacheControl] == "no-store")
            #expect(answer.headers[requestID] == "abc-1")
            #expect(answer.headers[.accessControlAllowOrigin] == nil)
        }
        let odd = try await Daemon().send(.get, "/live", headers: [requestID: "a b"])
        #expect(odd.headers[requestID] == "request-1", "an id that is not well formed is replaced")
    }

    @Test func withAKeyDataIsClosedAndProbesAreOpen() async throws {
        var daemon = Daemon()
        daemon.access = AccessSettings(keys: [Secret("0123456789abcdef0123456789abcdef")])
        for path in ["/api/etl/runs", "/api/etl/dead-letters", "/api/etl/validate", "/api/etl/stats", "/api/etl/jobs"] {
            #expect(try await daemon.send(.get, path).status == 401, "\(path)")
        }
        for path in ["/live", "/ready", "/health", "/metrics", "/api/etl/status", "/api/etl/scheduler/status"] {
            #expect(try await daemon.send(.get, path).status == 200, "\(path)")
        }
        for path in ["/api/etl/sync", "/api/etl/scheduler/stop", "/api/etl/dead-letters/retry"] {
            #expect(try await daemon.postJSON(path).status == 401, "\(path)")
        }
    }

    /// Every route that changes something asks for a scope; a new one cannot be forgotten.
    @Test func noWritingRouteIsOpen() {
        let runs = FakeRuns()
        let ports = APIPorts(
            runs: runs,
            scheduler: FakeScheduler(),
            deadLetters: FakeDeadLetters(),
            watermarks: FakeWatermarks(),
            events: EventHub(),
            probes: [],
            stats: nil,
            info: ServiceInfo(version: "1", memory: { MemoryUse(usedMiB: 0, totalMiB: 0) }),
            metricsText: { "" },
            isDraining: { false }
        )
        // Vendors' hooks bring a signature over the body instead of a token; HookRouteTests look at those.
        for route in APIRoutes.all(ports) where route.method != .get && !route.path.hasPrefix("/hooks/") {
            #expect(route.changes, "\(route.path)")
            #expect(route.access.scope == .write || route.access.scope == .admin, "\(route.path)")
        }
    }

    @Test func statusTellsTheStory() async throws {
        let daemon = Daemon()
        daemon.runs.willEnd(with: Fixture.record(.succeeded))
        let body = try await daemon.send(.get, "/api/etl/status").body
        #expect(body["sync"]?["state"] == "idle")
        #expect(body["lastRun"]?["state"] == "succeeded")
        #expect(body["lastSuccessAt"] == "2026-01-15T10:30:02.500Z")
        #expect(body["nextRun"] == "2026-01-15T10:30:00.000Z")
        #expect(body["scheduler"]?["enabled"] == true)
    }

    /// Switched on is not running, and an instant that will not fire is no next run.
    @Test func theScheduleIsToldAsItWillRun() async throws {
        let scheduler = FakeScheduler()
        var ports = Daemon().ports()
        ports.scheduler = scheduler
        #expect(try await StatusAnswer.body(ports)["scheduler"]?["isRunning"] == true)
        try await scheduler.pause("product_sync", by: "ada")
        let paused = try await StatusAnswer.body(ports)
        #expect(paused["nextRun"] == .null)
        #expect(paused["scheduler"]?["isRunning"] == true, "other jobs fire")
        try await scheduler.resume("product_sync", by: "ada")
        scheduler.leader.withLock { $0 = nil }
        let leaderless = try await StatusAnswer.body(ports)
        #expect(leaderless["scheduler"]?["isRunning"] == false)
        #expect(leaderless["scheduler"]?["enabled"] == true)
        try await scheduler.stop(by: "ada")
        #expect(try await StatusAnswer.body(ports)["nextRun"] == .null)
    }

    @Test func deadLettersAreListedRetriedAndDiscarded() async throws {
        let daemon = Daemon()
        #expect(try await daemon.send(.get, "/api/etl/dead-letters").body["deadLetters"]?.array?.count == 1)
        #expect(try await daemon.postJSON("/api/etl/dead-letters/1/retry").body["retried"] == 1)
        #expect(try await daemon.postJSON("/api/etl/dead-letters/2/retry").status == 404)
        #expect(try await daemon.postJSON("/api/etl/dead-letters/retry").body["retried"] == 1)
        #expect(try await daemon.send(.delete, "/api/etl/dead-letters/1").status == 200)
        #expect(try await daemon.send(.delete, "/api/etl/dead-letters/2").status == 404)
    }

    /// Whatever the page of a named origin sends, also when it comes back to a stream, is admitted beforehand.
    @Test func aNamedOriginMaySendWhatTheConsoleSends() async throws {
        var daemon = Daemon()
        daemon.access = AccessSettings(keys: [], corsOrigins: ["https://ops.example.com"])
        var headers: HTTPFields = [.origin: "https://ops.example.com", .accessControlRequestMethod: "GET"]
        let named = try await daemon.send(.options, "/api/etl/events", headers: headers)
        #expect(named.status == 204)
        let allowed = (named.headers[.accessControlAllowHeaders] ?? "").split(separator: ", ").map { $0.lowercased() }
        for name in ["authorization", "content-type", "prefer", "idempotency-key", "last-event-id", "x-request-id"] {
            #expect(allowed.contains(name), "\(name)")
        }
        headers[.origin] = "https://evil.example"
        let other = try await daemon.send(.options, "/api/etl/events", headers: headers)
        #expect(other.headers[.accessControlAllowHeaders] == nil && other.headers[.accessControlAllowOrigin] == nil)
    }

    /// What no handler saw is found in the log as well, and read as carefully.
    @Test(arguments: [("/nowhere", 404), ("/metrics", 405)])
    func aRefusalNamesItsRequest(path: String, status: Int) async throws {
        let requestID = HTTPField.Name("X-Request-Id")!
        let answer = try await Daemon().send(.delete, path, headers: [requestID: "abc-1"])
        #expect(answer.status == status)
        #expect(answer.body["requestId"] == "abc-1")
        #expect(answer.headers[requestID] == "abc-1")
    }

    @Test(arguments: [
        (400, "bad-request"), (408, "request-timeout"), (413, "body-too-large"), (414, "bad-request"),
        (501, "not-implemented"), (503, "handler-timeout"), (505, "not-implemented"), (500, "internal-error"),
    ])
    func whatTheWireRefusesIsAProblemOfItsOwn(status: Int, name: String) async throws {
        let router = APIRoutes.router(
            Daemon().ports(),
            gate: await Gate(Daemon().access),
            logger: Logger(label: "test")
        )
        let response = router.errorResponse(HTTPFailure(status, "words"), "request-9")
        guard case .bytes(let bytes) = response.body else { return }
        let body = try JSONText.parse(bytes)
        #expect(body["type"]?.string == "urn:tallyman:problem:\(name)")
        #expect(body["requestId"] == "request-9" && body["detail"] == "words")
        #expect(response.allHeaders[HTTPField.Name("X-Content-Type-Options")!] == "nosniff")
        #expect(response.allHeaders[HTTPField.Name("X-Request-Id")!] == "request-9")
    }

    @Test func corsIsOnlyForNamedOrigins() async throws {
        var daemon = Daemon()
        daemon.access = AccessSettings(keys: [], corsOrigins: ["https://ops.example.com"])
        let named = try await daemon.send(.get, "/api/etl/jobs", headers: [.origin: "https://ops.example.com"])
        #expect(named.headers[.accessControlAllowOrigin] == "https://ops.example.com")
        #expect(named.headers[.vary] == "Origin")
        let other = try await daemon.send(.get, "/api/etl/jobs", headers: [.origin: "https://evil.example"])
        #expect(other.headers[.accessControlAllowOrigin] == nil)
        #expect(other.headers[.vary] == "Origin", "a cache must not give one's answer to the other")
        let metrics = try await daemon.send(.get, "/metrics", headers: [.origin: "https://ops.example.com"])
        #expect(metrics.headers[.vary] == "Accept-Encoding, Origin")
        #expect(try await Daemon().send(.get, "/api/etl/jobs").headers[.vary] == nil)
    }
}
