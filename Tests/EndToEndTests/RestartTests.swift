import Foundation
import Runtime
import TestKit
import Testing

/// What one process promised, the next one keeps.
@Suite struct RestartTests {
    @Test func keysAndTheStoppedSchedulerOutliveTheProcess() async throws {
        let shop = try Shop(products: 20)
        let settings = shop.settings(["ENABLE_SCHEDULER": "true"])
        let token = try await RunningDaemon.token()
        let key = ["Idempotency-Key": "nightly-2026-11-21"]
        let first = try await RunningDaemon(settings)
        let ran = try await first.send("POST", "/api/etl/sync", token: token, fields: key, body: "{}")
        #expect(ran.status == 200)
        #expect(try await first.send("POST", "/api/etl/scheduler/stop", token: token).status == 200)
        #expect(try await first.send("POST", "/api/etl/schedules/health_check/pause", token: token).status == 200)
        try await first.stop()

        let second = try await RunningDaemon(settings)
        let again = try await second.send("POST", "/api/etl/sync", token: token, fields: key, body: "{}")
        #expect(again.status == 200)
        #expect(again.json["runId"] == ran.json["runId"])
        #expect(again.json["results"] == ran.json["results"])
        let other = try await second.send("POST", "/api/etl/sync", token: token, fields: key, body: "{\"dryRun\":true}")
        #expect(other.status == 422)
        let runs = try await second.send("GET", "/api/etl/runs?job=product_sync", token: token)
        #expect(runs.json["runs"]?.array?.count == 1)
        let scheduler = try await second.send("GET", "/api/etl/scheduler/status").json["scheduler"]
        #expect(scheduler?["enabled"] == false)
        #expect(scheduler?["changedBy"] == "ada")
        let schedules = scheduler?["schedules"]?.array ?? []
        let health = schedules.first { $0["job"] == "health_check" }
        #expect(health?["paused"] == true)
        #expect(health?["changedBy"] == "ada")
        #expect(schedules.first { $0["job"] == "product_sync" }?["nextFires"]?.array?.count == 5)
        try await second.stop()
    }
}
