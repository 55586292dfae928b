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
        }
        return bad + warnings
    }

    private static func findings(of facts: JobFacts, _ all: OverviewFacts) -> (bad: [Finding], warnings: [Finding]) {
        let name = facts.job.name.rawValue
        var bad: [Finding] = []
        var warnings: [Finding] = []
        if let ended = facts.ended, ended.state == .failed || ended.state == .interrupted {
            let reason = ended.error.map { ": \($0.summary)" } ?? ""
            let verb = ended.state == .failed ? "failed" : "was interrupted"
            bad.append(Finding(level: .bad, sentence: "The last run of \(name) \(verb)\(reason).", run: ended))
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
        }
        if all.scheduler?.enabled == true, facts.isOverdue(at: all.now) {
            warnings.append(
                Finding(
                    level: .warning,
                    sentence: "\(name): the last proof is older than its schedule.",
                    run: facts.proved
                )
            )
        }
        return (bad, warnings)
    }

    /// Nothing was found wrong; whether that is good news depends on what was proved.
    private static func wellOrUnproved(_ facts: OverviewFacts) -> OverviewVerdict {
        let comparing = facts.jobs.filter { $0.drift != nil }
        let oldest = comparing.compactMap(\.compared).min {
            ($0.finishedAt ?? .distantPast) < ($1.finishedAt ?? .distantPast)
        }
        if let oldest {
            let unheard = facts.jobs.filter {
                $0.schedule != nil && $0.proved == nil && $0.drift == nil && $0.job.name != "health_check"
            }
            return OverviewVerdict(
                level: .ok,
                sentence: "Nothing is wrong: both sides hold the same.",
                run: oldest,
                further: unheard.map { "\($0.job.name) has not run yet." }
            )
        }
        let newest = facts.jobs.compactMap(\.proved).max {
            ($0.finishedAt ?? .distantPast) < ($1.finishedAt ?? .distantPast)
        }
        let unproved = facts.jobs.filter { $0.proved == nil && $0.job.name.rawValue != "health_check" }
        if let first = unproved.first {
            return OverviewVerdict(
                level: .unknown,
                sentence:
                    "Nothing is proved yet: \(first.job.name) has not run. A dry run compares and writes nothing.",
                run: nil
            )
        }
        guard let newest else {
            return OverviewVerdict(level: .unknown, sentence: "Nothing is proved yet: no job has run.", run: nil)
        }
        return OverviewVerdict(level: .ok, sentence: "Nothing is wrong: every job's last run was proved.", run: newest)
    }
}
