package import Engine
import Foundation
import Runtime

/// One sentence that says what is wrong, or that nothing is, with the run whose check it rests on.
///
/// No light is green unless a check proved it: without a proof the level is `unknown`, never `ok`.
package struct OverviewVerdict: Sendable {
    package enum Level: String, Sendable { case ok, unknown, warning, bad }

    package let level: Level
    package let sentence: String
    /// What else is wrong, the worst first.
    package let further: [String]
    /// The run that the sentence rests on.
    package let run: RunRecord?

    private struct Finding {
        let level: Level
        let sentence: String
        var run: RunRecord?
    }

    package init(_ facts: OverviewFacts) {
        let findings = Self.findings(facts)
        guard let first = findings.first else {
            self = Self.wellOrUnproved(facts)
            return
        }
        level = first.level
        sentence = first.sentence
        run = first.run
        further = findings.dropFirst().map(\.sentence)
    }

    private init(level: Level, sentence: String, run: RunRecord?, further: [String] = []) {
        (self.level, self.sentence, self.run, self.further) = (level, sentence, run, further)
    }

    private static func findings(_ facts: OverviewFacts) -> [Finding] {
        var bad: [Finding] = []
        var warnings: [Finding] = []
        if facts.isDraining { bad.append(Finding(level: .bad, sentence: "The daemon is stopping.")) }
        for probe in facts.probes {
            guard case .failed(let reason) = probe.result else { continue }
            let what = probe.isConnection ? "\(probe.name) does not answer" : "\(probe.name)"
            bad.append(Finding(level: .bad, sentence: "\(what): \(reason)."))
        }
        if let failure = facts.ledgerFailure {
            bad.append(Finding(level: .bad, sentence: "The ledger cannot be read: \(failure)."))
        }
        if let failure = facts.lettersFailure, facts.ledgerFailure == nil {
            bad.append(Finding(level: .bad, sentence: "The dead letters cannot be counted: \(failure)."))
        }
        for job in facts.jobs {
            let (worse, lesser) = findings(of: job, facts)
            bad += worse
            warnings += lesser
        }
        if let scheduler = facts.scheduler, !scheduler.enabled {
            warnings.append(Finding(level: .warning, sentence: "The scheduler is off: nothing runs by itself."))
        } else if let scheduler = facts.scheduler, scheduler.leader == nil {
            warnings.append(Finding(level: .warning, sentence: "Nobody leads the schedule: nothing runs by itself."))
        }
        return bad + warnings
    }

    private static func findings(of facts: JobFacts, _ all: OverviewFacts) -> (bad: [Finding], warnings: [Finding]) {
        let name = facts.job.name.rawValue
        var bad: [Finding] = []
        var warnings: [Finding] = []
        // What was asked for once and never again is not wrong for ever.
        let isHistory =
            facts.schedule == nil && facts.standing?.finishedAt.map { all.now.timeIntervalSince($0) > 86_400 } == true
        if let last = facts.standing, last.state == .failed || last.state == .interrupted, !isHistory {
            let reason = last.error.map { ": \($0.summary)" } ?? ""
            let verb = last.state == .failed ? "failed" : "was interrupted"
            bad.append(Finding(level: .bad, sentence: "The last run of \(name) \(verb)\(reason).", run: last))
        }
        if let drift = facts.drift, drift.total > 0 {
            let found = facts.compared?.dryRun == true ? "a dry run found" : "the last run left"
            warnings.append(
                Finding(level: .warning, sentence: "\(name): \(found) \(drift.words).", run: facts.compared)
            )
        }
        if let open = facts.openDeadLetters, open > 0 {
            let records = open == 1 ? "record waits as a dead letter" : "records wait as dead letters"
            let number = Drift.grouped(open)
            warnings.append(Finding(level: .warning, sentence: "\(name): \(number) \(records).", run: facts.ended))
        } else if let last = facts.compared ?? facts.standing, last.state == .partial {
            // Nothing is open any more, or it cannot be counted: that the run refused something stays true.
            let sentence = "\(name): the last run was partial, its refused records are not in the target."
            warnings.append(Finding(level: .warning, sentence: sentence, run: last))
        }
        if facts.schedule?.isPaused == true {
            warnings.append(Finding(level: .warning, sentence: "\(name): its schedule is paused.", run: facts.proof))
        } else if all.scheduler?.enabled == true, facts.isOverdue(at: all.now) {
            warnings.append(
                Finding(
                    level: .warning,
                    sentence: "\(name): the last proof is older than its schedule.",
                    run: facts.proof
                )
            )
        }
        return (bad, warnings)
    }

    /// Nothing was found wrong; whether that is good news depends on what was proved.
    ///
    /// Judged are the jobs that are expected to run; where none is, every job.
    private static func wellOrUnproved(_ facts: OverviewFacts) -> OverviewVerdict {
        let expected = facts.jobs.filter(\.isExpected)
        let judged = expected.isEmpty ? facts.jobs.filter { $0.job.name != "health_check" } : expected
        let unproved = judged.compactMap(\.unproved)
        guard let oldest = earliest(judged.compactMap(\.proof)) else { return nothingProved(judged, unproved.first) }
        guard let first = unproved.first else { return well(oldest, judged) }
        let others = unproved.count > 1 ? ", and \(unproved.count - 1) more are not proved" : ""
        return OverviewVerdict(
            level: .unknown,
            sentence: "Not everything is proved: \(first)\(others).",
            run: oldest
        )
    }

    private static func well(_ oldest: RunRecord, _ judged: [JobFacts]) -> OverviewVerdict {
        let comparing = judged.filter { $0.compared != nil }
        let proved = "every job's last run was proved"
        let names = comparing.map(\.job.name.rawValue).joined(separator: " and ")
        let same =
            (comparing.count == judged.count ? "" : "\(proved); \(names): ")
            + ValidationAnswer.sameness(comparing.compactMap(\.compared))
        return OverviewVerdict(
            level: .ok,
            sentence: "Nothing is wrong: \(comparing.isEmpty ? proved : same).",
            run: earliest(comparing.compactMap(\.compared)) ?? oldest
        )
    }

    private static func nothingProved(_ judged: [JobFacts], _ reason: String?) -> OverviewVerdict {
        let canDryRun = judged.first?.job.options.contains(.dryRun) == true
        let advice = canDryRun ? " A dry run compares and writes nothing." : ""
        let sentence = "Nothing is proved yet: \(reason ?? "no job has run").\(advice)"
        return OverviewVerdict(level: .unknown, sentence: sentence, run: nil)
    }

    private static func earliest(_ runs: [RunRecord]) -> RunRecord? {
        runs.min { ($0.finishedAt ?? .distantPast) < ($1.finishedAt ?? .distantPast) }
    }
}
