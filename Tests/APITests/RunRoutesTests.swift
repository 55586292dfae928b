import API
import Foundation
import HTTPTypes
import Runtime
import Synchronization
import Testing

@testable import Engine

@Suite struct RunRoutesTests {
    private let daemon = Daemon()

    @Test func aSyncAnswersWithTheContractsKeys() async throws {
        daemon.runs.willEnd(with: Fixture.record(.succeeded))
        let answer = try await daemon.postJSON("/api/etl/sync", "{\"dryRun\":false,\"batchSize\":100}")
        #expect(answer.status == 200)
        #expect(answer.body["success"] == true)
        let results = try #require(answer.body["results"])
        #expect(results["dryRun"] == false)
        #expect(results["timestamp"] == "2026-01-15T10:30:02.500Z")
        let product = try #require(results["productSync"])
        let expected: [String: JSONValue] = [
            "totalProductsInSource": 1000, "totalProductsInTarget": 950, "missingProducts": 50, "syncedProducts": 53,
            "errors": [], "duration": 2500, "timestamp": "2026-01-15T10:30:02.500Z", "staleProducts": 3,
            "orphanedProducts": 2, "unchangedProducts": 947, "deletedProducts": 0, "deadLetters": 0, "batches": 1,
            "runId": .string(Fixture.id.description),
        ]
        for (key, value) in expected { #expect(product[key] == value, "\(key)") }
        let submitted = try #require(daemon.runs.state.withLock { $0.submitted.first })
        #expect(submitted.job == "product_sync")
        #expect(submitted.options.batchSize == 100)
        #expect(submitted.by == "loopback")
    }

    @Test func noTextHoldsANUL() async throws {
        #expect(try await daemon.send(.get, "/api/etl/runs?job=a\u{0}").status == 400)
        #expect(try await daemon.postJSON("/api/etl/jobs/retail/run", "{\"stage\":\"\\u0000\"}").status == 400)
        #expect(daemon.runs.state.withLock { $0.submitted.isEmpty })
    }

    /// Beyond the year 9999 a text means no one instant, and beyond what a number holds it would be a trap.
    @Test(arguments: ["400000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "0000-12-31T00:00:00Z"])
    func instantsHaveFourDigitsOfYear(text: String) {
        #expect(Timestamp.parse(text) == nil)
        #expect(Timestamp.parse("9999-12-31T23:59:59.5Z") != nil)
        #expect(!Timestamp.microseconds(Date(timeIntervalSince1970: 1e13)).isEmpty)
    }

    @Test func aRunShowsItsShards() async throws {
        daemon.runs.willEnd(with: Fixture.record(.succeeded))
        let shard = ShardRecord(
            index: 3,
            bounds: ShardBounds(lower: ["target": "a"], upper: nil),
            state: .lost,
            attempts: 2,
            run: nil,
            progress: nil,
            progressAt: nil,
            counts: ["totalProductsInSource": 5],
            details: .null,
            deadLetters: 1,
            startedAt: nil,
            finishedAt: nil
        )
        daemon.runs.state.withLock { $0.shards[Fixture.id] = [shard] }
        let answer = try await daemon.send(.get, "/api/etl/runs/\(Fixture.id)")
        #expect(answer.status == 200)
        let shown = try #require(answer.body["run"]?["shards"]?.array?.first)
        #expect(shown["shard"] == 3)
        #expect(shown["state"] == "lost")
        #expect(shown["attempts"] == 2)
        #expect(shown["lowerBound"] == ["target": "a"])
        #expect(shown["upperBound"] == .null)
        #expect(shown["counts"] == ["totalProductsInSource": 5])
    }

    @Test func deadLettersMakeItPartial() async throws {
        daemon.runs.willEnd(with: Fixture.record(.partial, deadLetters: 4))
        let answer = try await daemon.postJSON("/api/etl/sync")
        #expect(answer.status == 200)
        #expect(answer.body["success"] == false)
        #expect(answer.body["results"]?["productSync"]?["deadLetters"] == 4)
    }

    @Test func aFailureIsAProblemThatOldClientsUnderstand() async throws {
        let failure = RunError(TallyError(.sourceUnreachable, during: "sync.read", "no server answered"))
        daemon.runs.willEnd(with: Fixture.record(.failed, error: failure))
        let answer = try await daemon.postJSON("/api/etl/sync")
        #expect(answer.status == 500)
        #expect(answer.headers[.contentType] == "application/problem+json")
        #expect(answer.body["type"] == "urn:tallyman:problem:run-failed")
        #expect(answer.body["status"] == 500)
        #expect(answer.body["success"] == false)
        #expect(answer.body["message"] == "no server answered")
        #expect(answer.body["kind"] == "source-unreachable")
        #expect(answer.body["runId"] == .string(Fixture.id.description))
    }

    @Test func aSecondSyncIs409WithTheRunningRun() async throws {
        daemon.runs.state.withLock { $0.busy = RunBusy(job: "product_sync", running: Fixture.id) }
        let answer = try await daemon.postJSON("/api/etl/sync", "{}")
        #expect(answer.status == 409)
        #expect(answer.body["type"] == "urn:tallyman:problem:run-active")
        #expect(answer.body["runId"] == .string(Fixture.id.description))
        #expect(try await daemon.send(.get, "/api/etl/validate").status == 409)
    }

    @Test(arguments: ["respond-async", "wait=5, respond-async", "Respond-Async; x=1", " respond-async "])
    func whoAsksNotToWaitGetsALocation(prefer: String) async throws {
        daemon.runs.willEnd(with: Fixture.record(.succeeded))
        let field = try #require(HTTPField.Name("Prefer"))
        let answer = try await daemon.postJSON("/api/etl/sync", headers: [field: prefer])
        #expect(answer.status == 202)
        #expect(answer.headers[.location] == "/api/etl/runs/\(Fixture.id.description)")
        #expect(answer.body["runId"] == .string(Fixture.id.description))
    }

    @Test func aBadBodyStartsNothing() async throws {
        for body in ["{\"batchSize\":0}", "{\"nonsense\":1}", "{\"dryRun\":\"yes\"}", "{\"stage\":\"x\"}", "[1]", "{"] {
            let answer = try await daemon.postJSON("/api/etl/sync", body)
            #expect(answer.status == 400, "\(body)")
        }
        let form = try await daemon.send(
            .post,
            "/api/etl/sync",
            headers: [.contentType: "application/x-www-form-urlencoded"],
            body: "dryRun=true"
        )
        #expect(form.status == 415)
        #expect(daemon.runs.state.withLock { $0.submitted.isEmpty })
    }

    @Test func validationCountsAndLists() async throws {
        daemon.runs.willEnd(with: Fixture.record(.succeeded, dryRun: true))
        let answer = try await daemon.send(.get, "/api/etl/validate")
        #expect(answer.status == 200)
        #expect(answer.body["success"] == true)
        #expect(answer.body["isValid"] == false)
        let details = try #require(answer.body["productSync"]?["details"])
        #expect(details["sourceCount"] == 1000)
        #expect(details["missingInTarget"] == 50)
        #expect(details["extraInTarget"] == 2)
        #expect(details["staleProducts"] == [["id": "c", "columns": ["price"]]])
        #expect(details["truncated"] == true)
        #expect(try #require(daemon.runs.state.withLock { $0.submitted.first }).options.dryRun)
    }

    /// As `tallyman validate`, which ends with exit status 3 then.
    @Test func aValidationThatEndsPartialIsNoSuccess() async throws {
        let counts: JSONValue = ["missingProducts": 0, "deadLetters": 1]
        daemon.runs.willEnd(with: Fixture.record(.partial, dryRun: true, counts: counts, deadLetters: 1))
        let answer = try await daemon.send(.get, "/api/etl/validate")
        #expect(answer.status == 200)
        #expect(answer.body["success"] == false)
        #expect(answer.body["isValid"] == false)
    }

    @Test func equalSidesAreValid() async throws {
        let counts: JSONValue = ["totalProductsInSource": 5, "totalProductsInTarget": 5, "unchangedProducts": 5]
        daemon.runs.willEnd(with: Fixture.record(.succeeded, dryRun: true, counts: counts))
        #expect(try await daemon.send(.get, "/api/etl/validate").body["isValid"] == true)
    }

    @Test func runsAreListedShownAndCancelled() async throws {
        daemon.runs.willEnd(with: Fixture.record(.running))
        let list = try await daemon.send(.get, "/api/etl/runs?state=running&limit=1")
        #expect(list.body["runs"]?.array?.count == 1)
        #expect(list.body["next"] == .string(Fixture.id.description))
        let path = "/api/etl/runs/\(Fixture.id.description)"
        #expect(try await daemon.send(.get, path).body["run"]?["state"] == "running")
        #expect(try await daemon.postJSON("\(path)/cancel").status == 202)
        daemon.runs.willEnd(with: Fixture.record(.succeeded))
        #expect(try await daemon.postJSON("\(path)/cancel").status == 409)
        #expect(try await daemon.send(.get, "/api/etl/runs/nonsense").status == 404)
        #expect(try await daemon.send(.get, "/api/etl/runs?limit=0").status == 400)
        #expect(try await daemon.send(.get, "/api/etl/runs?state=gone").status == 400)
        #expect(try await daemon.send(.get, "/api/etl/runs?sate=failed").status == 400)
    }

    @Test func anyJobRunsWithTheOptionsItKnows() async throws {
        daemon.runs.willEnd(with: Fixture.record(.succeeded))
        #expect(try await daemon.postJSON("/api/etl/jobs/retail/run", "{\"stage\":\"silver\"}").status == 200)
        #expect(try await daemon.postJSON("/api/etl/jobs/retail/run", "{\"batchSize\":5}").status == 400)
        let unknown = try await daemon.postJSON("/api/etl/jobs/nope/run")
        #expect(unknown.status == 404)
        #expect(unknown.body["type"] == "urn:tallyman:problem:job-unknown")
    }
}
