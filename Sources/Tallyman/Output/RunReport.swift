import API
import Engine
import Runtime

/// A finished run as a command reports it.
enum RunReport {
    static func ended(_ record: RunRecord, _ console: Console) -> ExitStatus {
        let isSync = (record.job.whole ?? record.job) == ProductSyncFeature.job
        var body = (isSync ? SyncAnswer.body(record) : JobAnswer.body(record)).object ?? [:]
        body["job"] = .string(record.job.rawValue)
        body["error"] = record.error.map(RunAnswer.error) ?? .null
        console.answer(.object(body))
        if !console.isJSON {
            console.line(isSync ? SyncAnswer.message(record) : JobAnswer.message(record))
            counts(record, console)
            if let remedy = record.error?.remedy { console.note("  \(remedy)") }
        }
        return status(record)
    }

    /// Several runs as one answer; the status is the worst of them.
    static func ended(_ runs: [(job: JobName, outcome: CommandRuns.Outcome)], _ console: Console) -> ExitStatus {
        var bodies: [JSONValue] = []
        var statuses: [ExitStatus] = []
        for (job, outcome) in runs {
            switch outcome {
            case .success(let record):
                var body = JobAnswer.body(record).object ?? [:]
                body["job"] = .string(job.rawValue)
                body["error"] = record.error.map(RunAnswer.error) ?? .null
                bodies.append(.object(body))
                statuses.append(status(record))
                console.line("\(job): \(JobAnswer.message(record))")
                if !console.isJSON { counts(record, console) }
            case .failure(let error):
                let ours = TallyError.wrapping(error, during: "command.run")
                let isBusy = error is RunBusy
                let reason = isBusy ? "another run of it is going" : ours.summary
                bodies.append(["job": .string(job.rawValue), "success": false, "message": .string(reason)])
                statuses.append(isBusy ? .busy : .failed)
                console.note("\(job): \(reason)")
            }
        }
        let worst = [ExitStatus.failed, .busy, .deadLetters].first { statuses.contains($0) } ?? .done
        console.answer(["success": .bool(worst == .done), "runs": .array(bodies)])
        return worst
    }

    static func validation(_ record: RunRecord, _ console: Console) -> ExitStatus {
        guard record.state == .succeeded || record.state == .partial else { return ended(record, console) }
        let body = ValidationAnswer.body(record)
        console.answer(body)
        if !console.isJSON {
            let isValid = ValidationAnswer.isValid(record)
            console.line(isValid ? "Valid: \(ValidationAnswer.sameness([record]))." : "Not valid: the sides differ.")
            counts(record, console)
            let details = RunCounts(record).details
            list("missing in the cart", details["missingProductIds"], console)
            list("only in the cart", details["extraProductIds"], console)
            for stale in (details["staleProducts"]?.array ?? []).prefix(10) {
                let columns = (stale["columns"]?.array ?? []).compactMap(\.string).joined(separator: ", ")
                console.line("  stale \(stale["id"]?.string ?? "?"): \(columns)")
            }
        }
        return record.state == .partial ? .deadLetters : .done
    }

    static func status(_ record: RunRecord) -> ExitStatus {
        switch record.state {
        case .succeeded: .done
        case .partial: .deadLetters
        case .skipped: .busy
        case .failed, .cancelled, .interrupted, .queued, .running: .failed
        }
    }

    private static func counts(_ record: RunRecord, _ console: Console) {
        let counts = RunCounts(record)
        guard !counts.all.isEmpty else { return }
        let shown = [
            ("source", "totalProductsInSource"), ("target", "totalProductsInTarget"), ("missing", "missingProducts"),
            ("stale", "staleProducts"), ("orphaned", "orphanedProducts"), ("unchanged", "unchangedProducts"),
            ("written", "syncedProducts"), ("deleted", "deletedProducts"), ("dead letters", "deadLetters"),
        ].filter { counts.all[$0.1] != nil }
        if shown.isEmpty {
            for (name, count) in counts.all.sorted(by: { $0.key < $1.key }) { console.line("  \(name) \(count)") }
        } else {
            console.line("  " + shown.map { "\($0.0) \(ProgressLine.grouped(counts[$0.1]))" }.joined(separator: "  "))
        }
        if let start = record.startedAt, let end = record.finishedAt {
            let proof = record.summary?["proof"]?.string.map { ", proved by \($0)" } ?? ""
            console.line("  run \(record.id.description), \(Timestamp.milliseconds(from: start, to: end)) ms\(proof)")
        }
    }

    private static func list(_ title: String, _ ids: JSONValue?, _ console: Console) {
        let ids = (ids?.array ?? []).compactMap(\.string)
        guard !ids.isEmpty else { return }
        let more = ids.count > 10 ? ", …" : ""
        console.line("  \(title): " + ids.prefix(10).joined(separator: ", ") + more)
    }
}
