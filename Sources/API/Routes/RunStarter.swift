import Crypto
import Engine
import Foundation
import HTTPServer
import HTTPTypes
import Runtime

/// Starts a run for a request: once for an `Idempotency-Key`, waited for or answered with 202.
struct RunStarter: Sendable {
    let ports: APIPorts

    /// Submits, then waits for the end or answers 202 at once.
    func start(
        _ job: JobName,
        _ options: RunOptions,
        _ request: APIRequest,
        _ render: (RunRecord) -> ServerResponse
    ) async throws -> ServerResponse {
        guard !ports.isDraining() else { throw ProbeRoutes.draining }
        let id = try await submit(job, options, request)
        guard !request.prefersAsync else { return accepted(id, job) }
        let record = try await ports.runs.wait(id)
        if let problem = RunAnswer.problem(record) { throw problem }
        return render(record)
    }

    /// The body for a run of any job.
    static func body(_ record: RunRecord) -> JSONValue {
        record.job == RunRoutes.productSync ? SyncAnswer.body(record) : JobAnswer.body(record)
    }

    private func submit(_ job: JobName, _ options: RunOptions, _ request: APIRequest) async throws -> RunID {
        var id = RunID()
        var claim = try request.idempotencyClaim()
        if let asked = claim {
            switch try await ports.runs.reserve(asked, run: id) {
            case .new: break
            case .mismatch: throw Self.mismatch
            case .known(let first):
                // A key whose run never began, because the daemon died in between, begins it now under the same id.
                if try await ports.runs.run(first) != nil { return first }
                id = first
                // Another request claimed it, and may be about to begin the run: the claim is not ours to give back.
                claim = nil
            }
        }
        do {
            return try await ports.runs.submit(job, options, requestedBy: request.caller.name, id: id)
        } catch {
            if let claim { try await ports.runs.release(claim, run: id) }
            if let busy = error as? RunBusy { throw Self.busy(busy.running) }
            throw error
        }
    }

    private func accepted(_ id: RunID, _ job: JobName) -> ServerResponse {
        let location = "/api/etl/runs/\(id)"
        return .json(
            [
                "success": true, "message": "The run has been accepted", "runId": .string(id.description),
                "job": .string(job.rawValue), "location": .string(location),
            ],
            status: 202,
            headers: [.location: location, .preferenceApplied: "respond-async"]
        )
    }

    private static let mismatch = Problem(
        .idempotencyMismatch,
        status: 422,
        "The key belongs to another request",
        detail: "This Idempotency-Key was used with another path or body within the last 24 hours."
    )

    static func busy(_ running: RunID?) -> Problem {
        var members: [String: JSONValue] = [:]
        var headers: [String: String] = [:]
        if let running {
            members["runId"] = .string(running.description)
            members["runningRunId"] = .string(running.description)
            headers["Location"] = "/api/etl/runs/\(running.description)"
        }
        return Problem(
            .runActive,
            status: 409,
            "A run is already going",
            detail: running.map { "Run \($0) of this job is going; wait for it or cancel it." }
                ?? "A run of this job is going; wait for it or cancel it.",
            members: members,
            headers: headers
        )
    }
}

extension APIRequest {
    /// The claim behind an `Idempotency-Key`; nil without one. Throws a 400 for a key of another form.
    func idempotencyClaim() throws -> IdempotencyClaim? {
        guard let name = HTTPField.Name("Idempotency-Key"), let raw = request.headers[name] else { return nil }
        // The draft makes it a structured string, in quotes; most clients leave them out.
        let isQuoted = raw.count >= 2 && raw.hasPrefix("\"") && raw.hasSuffix("\"")
        let key = isQuoted ? String(raw.dropFirst().dropLast()) : raw
        guard (1...255).contains(key.utf8.count), key.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw Problem(
                .badRequest,
                status: 400,
                "The request is not valid",
                detail: "Idempotency-Key must be 1 to 255 printable ASCII characters without spaces.",
                members: ["field": "Idempotency-Key"]
            )
        }
        var digest = SHA256()
        digest.update(data: Data("\(request.method.rawValue) /\(request.path.joined(separator: "/"))\n".utf8))
        digest.update(data: Data(request.body))
        return IdempotencyClaim(caller: caller.name, key: key, requestHash: Array(digest.finalize()))
    }
}
