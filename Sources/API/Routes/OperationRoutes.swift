import Engine
import Foundation
import HTTPServer
import HTTPTypes
package import Runtime

/// Status, statistics, scheduler and dead letters.
struct OperationRoutes: Sendable {
    let ports: APIPorts

    var routes: [APIRoute] {
        [
            APIRoute(.get, "/api/etl/status", .open) { try await status($0) },
            APIRoute(.get, "/api/etl/stats", .read) { try await stats($0) },
            APIRoute(.get, "/api/etl/dead-letters", .read) { try await deadLetters($0) },
            APIRoute(.post, "/api/etl/dead-letters/retry", .write) { try await retryAll($0) },
            APIRoute(.post, "/api/etl/dead-letters/{id}/retry", .write) { try await retryOne($0) },
            APIRoute(.delete, "/api/etl/dead-letters/{id}", .write) { try await discard($0) },
        ]
    }

    private func status(_ request: APIRequest) async throws -> ServerResponse {
        try request.allowQuery()
        return .json(try await StatusAnswer.body(ports))
    }

    private func stats(_ request: APIRequest) async throws -> ServerResponse {
        try request.allowQuery()
        guard let stats = ports.stats else { throw Problem.featureOff("The product sync") }
        return .json(["success": true, "stats": try await stats(), "timestamp": .string(Timestamp.text(Date()))])
    }

    private func deadLetters(_ request: APIRequest) async throws -> ServerResponse {
        try request.allowQuery("job", "limit", "before")
        let limit = try request.queryInt("limit", in: 1...200, default: 50)
        let letters = try await ports.deadLetters.list(
            job: request.queryValue("job").map { JobName(rawValue: $0) },
            limit: limit,
            before: request.queryValue("before")
        )
        let next = letters.count == limit ? (letters.last?["id"] ?? .null) : .null
        return .json(["success": true, "deadLetters": .array(letters), "next": next])
    }

    private func retryAll(_ request: APIRequest) async throws -> ServerResponse {
        try request.allowQuery("job")
        let count = try await ports.deadLetters.retry(
            id: nil,
            job: request.queryValue("job").map { JobName(rawValue: $0) },
            by: request.caller.name
        )
        return .json(["success": true, "message": "The next run tries them again", "retried": .int(count)])
    }

    private func retryOne(_ request: APIRequest) async throws -> ServerResponse {
        let count = try await ports.deadLetters.retry(id: request.parameter("id"), job: nil, by: request.caller.name)
        guard count > 0 else { throw Self.deadLetterUnknown }
        return .json(["success": true, "message": "The next run tries it again", "retried": .int(count)])
    }

    private func discard(_ request: APIRequest) async throws -> ServerResponse {
        guard try await ports.deadLetters.discard(id: request.parameter("id"), by: request.caller.name) else {
            throw Self.deadLetterUnknown
        }
        return .json(["success": true, "message": "The dead letter was discarded"])
    }

    private static let deadLetterUnknown = Problem(
        .deadLetterUnknown,
        status: 404,
        "No such dead letter",
        detail: "There is no open dead letter with this id."
    )
}

/// The body of `GET /api/etl/status`; the command line prints the same.
package enum StatusAnswer {
    package static func body(_ ports: APIPorts) async throws -> JSONValue {
        let job = RunRoutes.productSync
        let newest = try await ports.runs.runs(RunsQuery(job: job, limit: 20))
        let active = newest.first { $0.state == .running } ?? newest.first { $0.state == .queued }
        let last = try await lastEnded(newest, ports, dryRun: false)
        let validation = try await lastEnded(newest, ports, dryRun: true)
        let success = try await ports.runs.lastSuccess(job)
        let scheduler = SchedulerAnswer.body(try await ports.scheduler.status())
        let schedule = scheduler["schedules"]?.array?.first { $0["job"]?.string == job.rawValue }
        let fires = scheduler["enabled"]?.bool == true && schedule?["paused"]?.bool == false
        let next: JSONValue = fires ? schedule?["nextFires"]?.array?.first ?? .null : .null
        var sync: [String: JSONValue] = [
            "state": .string(active?.state.rawValue ?? "idle"), "isRunning": .bool(active?.state == .running),
        ]
        if let active {
            sync["runId"] = .string(active.id.description)
            sync["dryRun"] = .bool(active.dryRun)
            sync["progress"] = ports.runs.progress(active.id).map(RunAnswer.progress) ?? active.progress ?? .null
            let shards = try await ports.runs.shards(of: active.id)
            if !shards.isEmpty { sync["shards"] = .array(shards.map(RunAnswer.shard)) }
        }
        return [
            "success": true, "sync": .object(sync), "lastRun": last.map { RunAnswer.run($0) } ?? .null,
            "lastSuccessAt": RunAnswer.instant(success?.finishedAt), "nextRun": next,
            "validation": validation.map(ValidationAnswer.summary) ?? .null, "scheduler": scheduler,
            "timestamp": .string(Timestamp.text(Date())),
        ]
    }
}

extension StatusAnswer {
    /// The newest run that has ended: among the newest few, else whatever the ledger calls the last.
    private static func lastEnded(_ newest: [RunRecord], _ ports: APIPorts, dryRun: Bool) async throws -> RunRecord? {
        if let recent = newest.first(where: { $0.dryRun == dryRun && $0.state.isFinal }) { return recent }
        return try await ports.runs.lastRun(RunRoutes.productSync, dryRun: dryRun)
    }
}
