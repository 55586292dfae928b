package import Engine
import Foundation
package import Runtime

/// A run's record as the bodies of the contract.
package enum RunAnswer {
    /// One run as `GET /api/etl/runs/{id}` and `tallyman runs --json` show it.
    package static func run(
        _ record: RunRecord,
        progress: ProgressSnapshot? = nil,
        shards: [ShardRecord] = []
    ) -> JSONValue {
        var body: [String: JSONValue] = [
            "runId": .string(record.id.description), "job": .string(record.job.rawValue),
            "trigger": .string(record.trigger.rawValue), "requestedBy": .string(record.requestedBy),
            "dryRun": .bool(record.dryRun), "options": record.options,
            "state": .string(record.state.rawValue),
            "queuedAt": .string(Timestamp.text(record.queuedAt)), "startedAt": instant(record.startedAt),
            "finishedAt": instant(record.finishedAt), "heartbeatAt": instant(record.heartbeatAt),
            "attempt": .int(record.attempt), "resumedFrom": record.resumedFrom.map { .string($0.description) } ?? .null,
            "summary": record.summary ?? .null, "error": record.error.map(error) ?? .null,
        ]
        if let start = record.startedAt, let end = record.finishedAt {
            body["duration"] = .int(Timestamp.milliseconds(from: start, to: end))
        }
        if let fence = record.fence { body["fence"] = .int(Int(fence)) }
        body["progress"] = progress.map(Self.progress) ?? record.progress ?? .null
        if let whole = record.partOf { body["partOf"] = .string(whole.description) }
        if !shards.isEmpty { body["shards"] = .array(shards.map(shard)) }
        return .object(body)
    }

    /// A shard without what it left for the end of its run.
    package static func shard(_ shard: ShardRecord) -> JSONValue {
        [
            "shard": .int(shard.index), "state": .string(shard.state.rawValue), "attempts": .int(shard.attempts),
            "lowerBound": shard.bounds.lower ?? .null, "upperBound": shard.bounds.upper ?? .null,
            "runId": shard.run.map { .string($0.description) } ?? .null, "progress": shard.progress ?? .null,
            "progressAt": instant(shard.progressAt), "startedAt": instant(shard.startedAt),
            "finishedAt": instant(shard.finishedAt), "counts": .object(shard.counts.mapValues { .int($0) }),
            "deadLetters": .int(shard.deadLetters),
        ]
    }

    package static func progress(_ snapshot: ProgressSnapshot) -> JSONValue {
        [
            "stage": .string(snapshot.stage), "read": .int(snapshot.read), "compared": .int(snapshot.compared),
            "written": .int(snapshot.written), "total": snapshot.total.map { .int($0) } ?? .null,
            "rowsPerSecond": .double((snapshot.rowsPerSecond * 10).rounded() / 10),
            "etaSeconds": snapshot.etaSeconds.map { .int(Int($0.rounded())) } ?? .null,
            "waiting": .bool(snapshot.isWaiting), "retries": .int(snapshot.retries),
            "stages": .array(snapshot.stages.map(\.json)),
        ]
    }

    package static func error(_ error: RunError) -> JSONValue {
        [
            "kind": .string(error.kind), "stage": .string(error.stage), "summary": .string(error.summary),
            "remedy": error.remedy.map { .string($0) } ?? .null,
        ]
    }

    static func instant(_ date: Date?) -> JSONValue {
        date.map { .string(Timestamp.text($0)) } ?? .null
    }

    /// The HTTP status and the document for a run that did not end as a success; nil for succeeded and partial.
    package static func problem(_ record: RunRecord) -> Problem? {
        var members: [String: JSONValue] = [
            "runId": .string(record.id.description), "state": .string(record.state.rawValue),
            "job": .string(record.job.rawValue),
        ]
        switch record.state {
        case .succeeded, .partial, .queued, .running: return nil
        case .cancelled:
            return Problem(
                .runCancelled,
                status: 409,
                "The run was cancelled",
                detail: "The run was cancelled before it ended.",
                members: members
            )
        case .interrupted:
            return Problem(
                .runInterrupted,
                status: 503,
                "The run was interrupted",
                detail: "The daemon stopped during the run; what was written stays, the next run goes on from there.",
                members: members,
                headers: ["Retry-After": "5"]
            )
        case .skipped:
            return Problem(
                .runSkipped,
                status: 409,
                "The run was skipped",
                detail: "Another run of this job was going.",
                members: members
            )
        case .failed:
            if let failure = record.error {
                members["kind"] = .string(failure.kind)
                members["stage"] = .string(failure.stage)
            }
            let summary = record.error?.summary ?? "the run failed"
            let detail = record.error?.remedy.map { "\(summary). \($0)" } ?? summary
            if record.job == RunRoutes.productSync { members["results"] = SyncAnswer.results(record) }
            return Problem(.runFailed, status: 500, "The run failed", detail: detail, members: members)
        }
    }
}

/// The body of any job but the product sync, run to its end.
package enum JobAnswer {
    package static func body(_ record: RunRecord) -> JSONValue {
        [
            "success": .bool(record.state == .succeeded), "message": .string(message(record)),
            "runId": .string(record.id.description), "state": .string(record.state.rawValue),
            "run": RunAnswer.run(record),
        ]
    }

    package static func message(_ record: RunRecord) -> String {
        let reason = record.error.map { ": \($0.summary)" } ?? ""
        return "Run of \(record.job.rawValue) \(record.state.rawValue)\(reason)"
    }
}

/// The bodies of `POST /api/etl/sync` and of the product sync run by its name.
package enum SyncAnswer {
    package static func body(_ record: RunRecord) -> JSONValue {
        [
            "success": .bool(record.state == .succeeded), "message": .string(message(record)),
            "runId": .string(record.id.description), "state": .string(record.state.rawValue),
            "results": results(record),
        ]
    }

    package static func message(_ record: RunRecord) -> String {
        let counts = RunCounts(record)
        switch record.state {
        case .succeeded, .partial:
            let written = counts["syncedProducts"]
            let left = counts["deadLetters"]
            let tail = left > 0 ? ", \(left) could not be written: see the dead letters" : ""
            if record.dryRun {
                return "Dry run: \(counts["missingProducts"]) missing, \(counts["staleProducts"]) stale,"
                    + " \(counts["orphanedProducts"]) orphaned; nothing was written\(tail)"
            }
            return "Sync completed: \(written) product\(written == 1 ? "" : "s") written\(tail)"
        case .failed: return "Sync failed: \(record.error?.summary ?? "see the log")"
        case .cancelled: return "The run was cancelled"
        case .interrupted: return "The run was interrupted"
        case .skipped: return "The run was skipped: another one was going"
        case .queued, .running: return "The run is going"
        }
    }

    package static func results(_ record: RunRecord) -> JSONValue {
        let counts = RunCounts(record)
        let timestamp = Timestamp.text(record.finishedAt ?? record.startedAt ?? record.queuedAt)
        var product: [String: JSONValue] = counts.all.mapValues { .int($0) }
        for key in [
            "totalProductsInSource", "totalProductsInTarget", "missingProducts", "syncedProducts", "staleProducts",
            "orphanedProducts", "unchangedProducts", "deletedProducts", "deadLetters", "batches",
        ] where product[key] == nil {
            product[key] = 0
        }
        var errors = counts.details["errors"]?.array ?? []
        if let failure = record.error { errors.append(.string(failure.summary)) }
        product["errors"] = .array(errors)
        product["timestamp"] = .string(timestamp)
        product["duration"] = .int(
            record.startedAt.map { Timestamp.milliseconds(from: $0, to: record.finishedAt ?? $0) } ?? 0
        )
        product["runId"] = .string(record.id.description)
        if let proof = record.summary?["proof"] { product["proof"] = proof }
        if record.dryRun {
            for key in ["missingProductIds", "extraProductIds", "staleProducts"] {
                if let list = counts.details[key] { product[key == "staleProducts" ? "staleProductList" : key] = list }
            }
            product["truncated"] = counts.details["truncated"] ?? false
        }
        return [
            "timestamp": .string(timestamp), "dryRun": .bool(record.dryRun), "productSync": .object(product),
        ]
    }
}

/// The body of `GET /api/etl/validate`.
package enum ValidationAnswer {
    package static func body(_ record: RunRecord) -> JSONValue {
        let part = productSync(record)
        return [
            "success": .bool(record.state == .succeeded), "isValid": part["isValid"] ?? false, "productSync": part,
            "runId": .string(record.id.description),
            "timestamp": .string(Timestamp.text(record.finishedAt ?? record.queuedAt)),
        ]
    }

    /// Whether both sides held the same when the run compared them.
    package static func isValid(_ record: RunRecord) -> Bool {
        guard record.state == .succeeded else { return false }
        let counts = RunCounts(record)
        return counts["missingProducts"] + counts["orphanedProducts"] + counts["staleProducts"]
            + counts["deadLetters"] == 0
    }

    /// What a compare without differences showed: rows that are newer in the target are none, and not the same either.
    package static func sameness(_ records: [RunRecord]) -> String {
        let newer = records.reduce(0) { $0 + RunCounts($1)["newerInTarget"] }
        guard newer > 0 else { return "both sides hold the same" }
        return "nothing is missing, extra or stale, \(Drift.grouped(newer)) newer in the target"
    }

    static func productSync(_ record: RunRecord) -> JSONValue {
        let counts = RunCounts(record)
        let details = counts.details
        let found: [String: JSONValue] = [
            "sourceCount": .int(counts["totalProductsInSource"]), "targetCount": .int(counts["totalProductsInTarget"]),
            "missingInTarget": .int(counts["missingProducts"]), "extraInTarget": .int(counts["orphanedProducts"]),
            "missingProductIds": details["missingProductIds"] ?? [],
            "extraProductIds": details["extraProductIds"] ?? [],
            "staleInTarget": .int(counts["staleProducts"]), "staleProducts": details["staleProducts"] ?? [],
            "deadLetters": .int(counts["deadLetters"]), "newerInTarget": .int(counts["newerInTarget"]),
            "truncated": details["truncated"] ?? false, "idsMax": details["idsMax"] ?? 100,
        ]
        return ["isValid": .bool(isValid(record)), "details": .object(found)]
    }

    /// The short form inside the status answer.
    static func summary(_ record: RunRecord) -> JSONValue {
        let counts = RunCounts(record)
        return [
            "isValid": .bool(isValid(record)), "runId": .string(record.id.description),
            "timestamp": .string(Timestamp.text(record.finishedAt ?? record.queuedAt)),
            "sourceCount": .int(counts["totalProductsInSource"]), "targetCount": .int(counts["totalProductsInTarget"]),
            "missingInTarget": .int(counts["missingProducts"]), "extraInTarget": .int(counts["orphanedProducts"]),
            "staleInTarget": .int(counts["staleProducts"]),
        ]
    }
}

/// The counts and details inside a run's summary.
package struct RunCounts {
    package let all: [String: Int]
    package let details: JSONValue

    package init(_ record: RunRecord) {
        let summary = record.summary
        var counts = (summary?["counts"]?.object ?? [:]).compactMapValues { $0.int }
        if let letters = summary?["deadLetters"]?.int { counts["deadLetters"] = letters }
        all = counts
        details = summary?["details"] ?? .object([:])
    }

    package subscript(_ key: String) -> Int { all[key] ?? 0 }
}
