import Engine
import Foundation
import HTTPServer
import HTTPTypes
import Runtime

/// The scheduler's switch, and each job's schedule.
struct ScheduleRoutes: Sendable {
    let ports: APIPorts
    let starter: RunStarter

    var routes: [APIRoute] {
        [
            APIRoute(.get, "/api/etl/scheduler/status", .open) { request in
                try request.allowQuery()
                return .json(["success": true, "scheduler": SchedulerAnswer.body(try await ports.scheduler.status())])
            },
            APIRoute(.post, "/api/etl/scheduler/start", .write) { try await toggle($0, on: true) },
            APIRoute(.post, "/api/etl/scheduler/stop", .write) { try await toggle($0, on: false) },
            APIRoute(.post, "/api/etl/schedules/{job}/pause", .write) { try await pause($0, paused: true) },
            APIRoute(.post, "/api/etl/schedules/{job}/resume", .write) { try await pause($0, paused: false) },
            APIRoute(.post, "/api/etl/schedules/{job}/run-now", .write, isLong: true) { try await runNow($0) },
            APIRoute(.post, "/api/etl/config/reload", .admin) { request in
                try request.allowQuery()
                let changes = try await ports.reload()
                return .json([
                    "success": true,
                    "message": "The schedules were read again; all other settings are read at the start",
                    "changes": .array(changes.map { .string($0) }),
                ])
            },
        ]
    }

    private func toggle(_ request: APIRequest, on: Bool) async throws -> ServerResponse {
        try request.allowQuery()
        if on {
            try await ports.scheduler.start(by: request.caller.name)
        } else {
            try await ports.scheduler.stop(by: request.caller.name)
        }
        return .json([
            "success": true, "message": on ? "Scheduler started" : "Scheduler stopped",
            "scheduler": SchedulerAnswer.body(try await ports.scheduler.status()),
        ])
    }

    private func pause(_ request: APIRequest, paused: Bool) async throws -> ServerResponse {
        try request.allowQuery()
        let job = JobName(rawValue: request.parameter("job"))
        if paused {
            try await ports.scheduler.pause(job, by: request.caller.name)
        } else {
            try await ports.scheduler.resume(job, by: request.caller.name)
        }
        let status = try await ports.scheduler.status().schedules.first { $0.definition.job == job }
        return .json([
            "success": true, "message": paused ? "The schedule is paused" : "The schedule is resumed",
            "schedule": status.map(SchedulerAnswer.schedule) ?? .null,
        ])
    }

    private func runNow(_ request: APIRequest) async throws -> ServerResponse {
        try request.allowQuery()
        let job = JobName(rawValue: request.parameter("job"))
        let options = try await ports.scheduler.options(of: job)
        return try await starter.start(job, options, request) { .json(RunStarter.body($0)) }
    }
}
