import Engine
import Foundation
import HTTPServer
import HTTPTypes
import Runtime

/// Routes that start, show and end runs.
struct RunRoutes: Sendable {
    static let productSync: JobName = "product_sync"
    let ports: APIPorts
    let starter: RunStarter

    var routes: [APIRoute] {
        [
            APIRoute(.post, "/api/etl/sync", .write, isLong: true) { try await sync($0) },
            APIRoute(.get, "/api/etl/validate", .read, changes: true, isLong: true) { try await validate($0) },
            APIRoute(.get, "/api/etl/jobs", .read) { request in
                try request.allowQuery()
                return .json(jobsBody())
            },
            APIRoute(.post, "/api/etl/jobs/{job}/run", .write, isLong: true) { try await runJob($0) },
            APIRoute(.get, "/api/etl/runs", .read) { try await list($0) },
            APIRoute(.get, "/api/etl/runs/{id}", .read) { try await show($0) },
            APIRoute(.post, "/api/etl/runs/{id}/cancel", .write) { try await cancel($0) },
        ]
    }

    private func sync(_ request: APIRequest) async throws -> ServerResponse {
        try request.checkMediaType()
        try request.allowQuery()
        let job = try description(Self.productSync, else: .featureOff("The product sync"))
        let options = try RunOptionsBody.read(
            request.request.body,
            known: job.options.intersection([.dryRun, .batchSize, .verify])
        )
        return try await starter.start(job.name, options, request) { .json(SyncAnswer.body($0)) }
    }

    private func validate(_ request: APIRequest) async throws -> ServerResponse {
        try request.allowQuery()
        let job = try description(Self.productSync, else: .featureOff("The product sync"))
        var options = RunOptions()
        options.dryRun = true
        return try await starter.start(job.name, options, request) { .json(ValidationAnswer.body($0)) }
    }

    private func runJob(_ request: APIRequest) async throws -> ServerResponse {
        try request.checkMediaType()
        try request.allowQuery()
        // A name as it is; as the services replaced spelled them, with dashes; a key behind a dot may hold dashes itself.
        let asked = request.parameter("job")
        let isKnown = ports.runs.jobs.contains { $0.name.rawValue == asked }
        let wanted = isKnown ? asked : asked.replacing("-", with: "_")
        let candidates = ports.runs.jobs.filter { $0.name.rawValue == wanted || $0.family == wanted }
        var options = try RunOptionsBody.read(
            request.request.body,
            known: candidates.reduce(into: candidates.contains { $0.family == wanted } ? [.definition] : []) {
                $0.formUnion($1.options)
            }
        )
        let name = options.definition.map { "\(wanted).\($0)" } ?? wanted
        guard let job = candidates.first(where: { $0.name.rawValue == name }) else {
            throw Problem.jobUnknown((candidates.isEmpty ? ports.runs.jobs : candidates).map(\.name.rawValue))
        }
        options.definition = nil
        if let stranger = options.given.subtracting(job.options).first {
            throw Problem.body(stranger.rawValue, "\(job.name) does not know \"\(stranger.rawValue)\".")
        }
        return try await starter.start(job.name, options, request) { .json(RunStarter.body($0)) }
    }

    private func description(_ name: JobName, else problem: Problem) throws -> JobDescription {
        guard let job = ports.runs.jobs.first(where: { $0.name == name }) else { throw problem }
        return job
    }

    private func jobsBody() -> JSONValue {
        let jobs = ports.runs.jobs.map { job -> JSONValue in
            [
                "job": .string(job.name.rawValue),
                "options": .array(job.options.map(\.rawValue).sorted().map { .string($0) }),
            ]
        }
        return ["success": true, "jobs": .array(jobs)]
    }

    private func list(_ request: APIRequest) async throws -> ServerResponse {
        try request.allowQuery("job", "state", "limit", "before")
        var query = RunsQuery(limit: try request.queryInt("limit", in: 1...200, default: 20))
        if let job = request.queryValue("job") { query.job = JobName(rawValue: job) }
        if let state = request.queryValue("state") {
            guard let known = RunState(rawValue: state) else { throw Problem.query("state", "There is no such state.") }
            query.state = known
        }
        if let before = request.queryValue("before") {
            guard let id = RunID(before) else { throw Problem.query("before", "\"before\" must be a run id.") }
            query.before = id
        }
        let records = try await ports.runs.runs(query)
        let next: JSONValue =
            records.count == query.limit ? (records.last.map { .string($0.id.description) } ?? .null) : .null
        let runs = records.map { RunAnswer.run($0, progress: ports.runs.progress($0.id)) }
        return .json(["success": true, "runs": .array(runs), "next": next])
    }

    private func show(_ request: APIRequest) async throws -> ServerResponse {
        try request.allowQuery()
        let record = try await find(request)
        let shards = try await ports.runs.shards(of: record.id)
        let run = RunAnswer.run(record, progress: ports.runs.progress(record.id), shards: shards)
        return .json(["success": true, "run": run])
    }

    private func cancel(_ request: APIRequest) async throws -> ServerResponse {
        let record = try await find(request)
        guard try await ports.runs.cancel(record.id, by: request.caller.name) else {
            throw Problem(
                .runEnded,
                status: 409,
                "The run has ended",
                detail: "A run that has ended cannot be cancelled.",
                members: ["runId": .string(record.id.description), "state": .string(record.state.rawValue)]
            )
        }
        return .json(
            ["success": true, "message": "The run is being cancelled", "runId": .string(record.id.description)],
            status: 202,
            headers: [.location: "/api/etl/runs/\(record.id.description)"]
        )
    }

    private func find(_ request: APIRequest) async throws -> RunRecord {
        let text = request.parameter("id")
        guard let id = RunID(text), let record = try await ports.runs.run(id) else {
            throw Problem.runUnknown(text)
        }
        return record
    }
}
