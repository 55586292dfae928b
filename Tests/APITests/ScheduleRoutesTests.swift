import API
import HTTPTypes
import Runtime
import Synchronization
import Testing

@testable import Engine

@Suite struct ScheduleRoutesTests {
    @Test func statusTellsExpressionWordsAndFires() async throws {
        let body = try await Daemon().send(.get, "/api/etl/scheduler/status").body
        let schedule = body["scheduler"]?["schedules"]?.array?.first
        #expect(schedule?["expression"] == "*/30 * * * *")
        #expect(schedule?["words"] == "every 30 minutes")
        #expect(schedule?["timeZone"] == "UTC")
        #expect(schedule?["paused"] == false)
    }

    @Test(arguments: ["pause", "resume"])
    func aScheduleIsPausedAndResumed(verb: String) async throws {
        #expect(try await Daemon().postJSON("/api/etl/schedules/product_sync/\(verb)").status == 200)
        #expect(try await Daemon().postJSON("/api/etl/schedules/nobody/\(verb)").status == 404)
    }

    @Test func runNowAsksWhatAFireWouldAsk() async throws {
        let daemon = Daemon()
        daemon.runs.willEnd(with: Fixture.record(.succeeded))
        #expect(try await daemon.postJSON("/api/etl/schedules/product_sync/run-now").status == 200)
        #expect(daemon.runs.state.withLock { $0.submitted.first?.options.batchSize } == 7)
    }

    @Test func reloadNeedsAdmin() async throws {
        #expect(try await Daemon().postJSON("/api/etl/config/reload").body["success"] == true)
    }
}

@Suite struct WatermarkRoutesTests {
    private static let path = "/api/etl/watermarks/cart/shopify/sales/acme"

    @Test func aPositionIsSetShownAndForgotten() async throws {
        let daemon = Daemon()
        #expect(try await daemon.send(.get, Self.path).status == 404)
        let put = try await daemon.send(
            .put,
            "\(Self.path)?scope=shop-1",
            headers: [.contentType: "application/json"],
            body: #"{"cursorTs": "2026-11-01T10:00:00.123456Z", "cursorId": "17"}"#
        )
        #expect(put.status == 200)
        let shown = try await daemon.send(.get, "\(Self.path)?scope=shop-1").body["watermark"]
        #expect(shown?["cursorTs"] == "2026-11-01T10:00:00.123456Z")
        #expect(shown?["cursorId"] == "17")
        #expect(try await daemon.send(.get, "/api/etl/watermarks").body["watermarks"]?.array?.count == 1)
        #expect(try await daemon.send(.delete, "\(Self.path)?scope=shop-1").status == 200)
        #expect(try await daemon.send(.delete, "\(Self.path)?scope=shop-1").status == 404)
    }

    @Test func aSourceWithoutAccountsHasAPathOfItsOwn() async throws {
        let daemon = Daemon()
        let path = "/api/etl/watermarks/cart/retail/sales"
        let headers: HTTPFields = [.contentType: "application/json"]
        #expect(try await daemon.send(.put, path, headers: headers, body: #"{"cursorValue": "9"}"#).status == 200)
        #expect(try await daemon.send(.get, path).body["watermark"]?["accountId"] == "")
        #expect(try await daemon.send(.delete, path).status == 200)
        #expect(try await daemon.send(.get, path).status == 404)
    }

    @Test func aListThatIsCutSaysSo() async throws {
        let daemon = Daemon()
        for scope in ["a", "b"] {
            let path = "\(Self.path)?scope=\(scope)"
            let headers: HTTPFields = [.contentType: "application/json"]
            _ = try await daemon.send(.put, path, headers: headers, body: #"{"cursorValue": "1"}"#)
        }
        #expect(try await daemon.send(.get, "/api/etl/watermarks").body["truncated"] == false)
        let cut = try await daemon.send(.get, "/api/etl/watermarks?scopes=1&source=shopify").body
        #expect(cut["truncated"] == true && cut["watermarks"]?.array?.count == 1)
        #expect(try await daemon.send(.get, "/api/etl/watermarks?source=none").body["watermarks"] == [])
        #expect(try await daemon.send(.get, "/api/etl/watermarks?scopes=0").status == 400)
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"cursorTs": 7}"#, #"{"cursorTs": "yesterday"}"#, #"{"cursor": "x"}"#, #"{"cursorId": "x"}"#,
        #"{"cursorTs": "2026-11-01T10:00:00.1234567Z"}"#,
    ])
    func aPositionThatSaysNothingIsRefused(body: String) async throws {
        let answer = try await Daemon().send(
            .put,
            Self.path,
            headers: [.contentType: "application/json"],
            body: body
        )
        #expect(answer.status == 400)
    }

    @Test func anUnknownDatabaseIsNotFound() async throws {
        let answer = try await Daemon().send(
            .put,
            "/api/etl/watermarks/nowhere/a/b/c",
            headers: [.contentType: "application/json"],
            body: #"{"cursorValue": "1"}"#
        )
        #expect(answer.status == 404)
    }
}

@Suite struct IdempotencyTests {
    private static func key(_ text: String) -> HTTPFields {
        var fields = HTTPFields()
        if let name = HTTPField.Name("Idempotency-Key") { fields[name] = text }
        return fields
    }

    @Test func theSameKeyStartsOneRun() async throws {
        let daemon = Daemon()
        daemon.runs.willEnd(with: Fixture.record(.succeeded))
        let first = try await daemon.postJSON("/api/etl/sync", "{}", headers: Self.key("abc"))
        let second = try await daemon.postJSON("/api/etl/sync", "{}", headers: Self.key("\"abc\""))
        #expect(first.status == 200 && second.status == 200)
        #expect(first.body["runId"] == second.body["runId"])
        #expect(daemon.runs.state.withLock { $0.submitted.count } == 1)
    }

    @Test func anotherRequestUnderTheKeyIsRefused() async throws {
        let daemon = Daemon()
        daemon.runs.willEnd(with: Fixture.record(.succeeded))
        _ = try await daemon.postJSON("/api/etl/sync", "{}", headers: Self.key("abc"))
        let other = try await daemon.postJSON("/api/etl/sync", #"{"dryRun": true}"#, headers: Self.key("abc"))
        #expect(other.status == 422)
        #expect(other.body["type"] == "urn:tallyman:problem:idempotency-mismatch")
        for path in ["/api/etl/jobs/product_sync/run", "/api/etl/schedules/product_sync/run-now"] {
            let elsewhere = try await daemon.postJSON(path, "{}", headers: Self.key("abc"))
            #expect(elsewhere.status == 422, "\(path)")
        }
        #expect(daemon.runs.state.withLock { $0.submitted.count } == 1)
    }

    @Test func aKeyWhoseRunNeverBeganIsGivenBack() async throws {
        let daemon = Daemon()
        daemon.runs.state.withLock { $0.busy = RunBusy(job: "product_sync", running: nil) }
        #expect(try await daemon.postJSON("/api/etl/sync", "{}", headers: Self.key("abc")).status == 409)
        #expect(daemon.runs.state.withLock { $0.claims.isEmpty })
    }

    @Test func aKeyThatAnotherRequestHoldsIsNotGivenBack() async throws {
        let daemon = Daemon()
        // The first request has claimed the key and not begun its run yet; the second one finds the job busy.
        daemon.runs.willEnd(with: Fixture.record(.succeeded))
        _ = try await daemon.postJSON("/api/etl/sync", "{}", headers: Self.key("abc"))
        daemon.runs.state.withLock {
            $0.records.removeAll()
            $0.busy = RunBusy(job: "product_sync", running: nil)
        }
        #expect(try await daemon.postJSON("/api/etl/sync", "{}", headers: Self.key("abc")).status == 409)
        #expect(daemon.runs.state.withLock { $0.claims.count } == 1)
    }

    @Test(arguments: ["a b", String(repeating: "x", count: 256), "ü"])
    func aKeyOfAnotherFormIsRefused(text: String) async throws {
        let answer = try await Daemon().postJSON("/api/etl/sync", "{}", headers: Self.key(text))
        #expect(answer.status == 400)
    }
}
