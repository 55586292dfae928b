import Engine
import Foundation
package import Runtime

/// Gathers and writes the body of `GET /api/etl/overview`.
package enum OverviewAnswer {
    /// Asks the probes, the ledger and the letters; what cannot be read is said, the rest is answered.
    package static func gather(_ ports: APIPorts) async -> OverviewFacts {
        var facts = OverviewFacts(now: Date())
        facts.isDraining = ports.isDraining()
        async let answers = ports.probes.answers()
        var jobs = ports.runs.jobs.map { JobFacts(job: $0) }
        do {
            let status = try await ports.scheduler.status()
            let newest = try await newest(ports.runs)
            let active = try await ports.runs.active()
            var known = jobs
            for index in known.indices {
                let name = known[index].job.name
                known[index].active = active.first { $0.job == name }
                if let run = known[index].active { known[index].shards = try await ports.runs.shards(of: run.id) }
                known[index].ended = newest[.ended]?[name]
                known[index].standing = newest[.standing]?[name]
                known[index].proved = newest[.proved]?[name]
                known[index].compared = newest[.compared]?[name]
                known[index].schedule = status.schedules.first { $0.definition.job == name }
            }
            // All of it or nothing: without a scheduler in the answer, nothing in it is known of runs and schedules.
            (jobs, facts.scheduler) = (known, status)
        } catch {
            facts.ledgerFailure = TallyError.wrapping(error, during: "overview").summary
        }
        do {
            let counts = try await ports.deadLetters.openCounts()
            for index in jobs.indices { jobs[index].openDeadLetters = counts[jobs[index].job.name] ?? 0 }
        } catch {
            facts.lettersFailure = TallyError.wrapping(error, during: "overview").summary
        }
        let connections = Set(ports.probes.filter(\.isConnection).map(\.name))
        facts.probes = await answers.map { ($0.0, connections.contains($0.0), $0.1) }
        facts.jobs = jobs
        return facts
    }

    private static func newest(_ runs: any RunsPort) async throws -> [NewestRun: [JobName: RunRecord]] {
        var all: [NewestRun: [JobName: RunRecord]] = [:]
        for which in NewestRun.allCases {
            let records = try await runs.newest(which)
            all[which] = Dictionary(records.map { ($0.job, $0) }, uniquingKeysWith: { first, _ in first })
        }
        return all
    }

    package static func body(_ facts: OverviewFacts, _ ports: APIPorts) -> JSONValue {
        [
            "success": true, "verdict": verdict(OverviewVerdict(facts)),
            "jobs": .array(facts.jobs.map { job($0, facts, ports) }),
            "databases": .array(
                facts.probes.map { probe in
                    var reason: JSONValue = .null
                    if case .failed(let text) = probe.result { reason = .string(text) }
                    return [
                        "name": .string(probe.name), "isConnection": .bool(probe.isConnection),
                        "answers": .bool(probe.result.isOK), "reason": reason,
                    ]
                }
            ),
            "scheduler": facts.scheduler.map(SchedulerAnswer.body) ?? .null,
            "watchers": .int(ports.events.watcherCount), "version": .string(ports.info.version),
            "startedAt": .string(Timestamp.text(ports.info.startedAt)), "timestamp": .string(Timestamp.text(facts.now)),
        ]
    }

    private static func verdict(_ verdict: OverviewVerdict) -> JSONValue {
        [
            "level": .string(verdict.level.rawValue), "sentence": .string(verdict.sentence),
            "further": .array(verdict.further.map { .string($0) }),
            "runId": verdict.run.map { .string($0.id.description) } ?? .null,
            "job": verdict.run.map { .string($0.job.rawValue) } ?? .null,
            "proof": verdict.run?.summary?["proof"] ?? .null,
            "provedAt": RunAnswer.instant(verdict.run?.finishedAt),
        ]
    }

    private static func job(_ facts: JobFacts, _ all: OverviewFacts, _ ports: APIPorts) -> JSONValue {
        let job = facts.job
        let proved = facts.proved
        var next: JSONValue = .null
        if let schedule = facts.schedule, !schedule.isPaused, all.scheduler?.enabled == true {
            next = RunAnswer.instant(schedule.nextFires.first)
        }
        return [
            "job": .string(job.name.rawValue), "family": job.family.map { .string($0) } ?? .null,
            "options": .array(job.options.map(\.rawValue).sorted().map { .string($0) }),
            "active": facts.active.map {
                RunAnswer.run($0, progress: ports.runs.progress($0.id), shards: facts.shards)
            } ?? .null,
            "lastRun": facts.ended.map(short) ?? .null, "lastProved": proved.map(short) ?? .null,
            "lastCompared": facts.compared.map(short) ?? .null,
            "drift": facts.drift.map(drift) ?? .null,
            // What changed before a proved run began is proved; what changed since may lag behind that long.
            "lagSeconds": proved.flatMap { $0.startedAt ?? $0.queuedAt }.map {
                .int(Int(max(0, all.now.timeIntervalSince($0))))
            } ?? .null,
            "openDeadLetters": facts.openDeadLetters.map { .int($0) } ?? .null, "nextFire": next,
            "isScheduled": .bool(facts.schedule != nil), "isPaused": .bool(facts.schedule?.isPaused ?? false),
            "isOverdue": .bool(facts.isOverdue(at: all.now)),
            "documentation": ports.documentation.contains { $0.name == job.name.rawValue }
                ? .string("/docs/\(job.name.rawValue)") : .null,
        ]
    }

    static func drift(_ drift: Drift) -> JSONValue {
        ["missing": .int(drift.missing), "stale": .int(drift.stale), "orphaned": .int(drift.orphaned)]
    }

    /// A run without its summary's lists.
    private static func short(_ record: RunRecord) -> JSONValue {
        [
            "runId": .string(record.id.description), "state": .string(record.state.rawValue),
            "dryRun": .bool(record.dryRun), "proof": record.summary?["proof"] ?? .null,
            "startedAt": RunAnswer.instant(record.startedAt), "finishedAt": RunAnswer.instant(record.finishedAt),
            "error": record.error.map(RunAnswer.error) ?? .null,
        ]
    }
}
