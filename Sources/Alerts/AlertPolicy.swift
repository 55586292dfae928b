package import Engine
import Foundation
import Runtime

/// What an ended run says about its job: a subject, its state, and the words for going into it and out of it.
package struct Observation: Sendable, Equatable {
    package static let good = "ok"

    package let subject: Alert.Subject
    /// `ok`, or a name of what is wrong; the same name again is not news.
    package let state: String
    package let title: String
    package let lines: [String]

    package var isGood: Bool { state == Self.good }
}

/// Which endings of runs are news: pure, so that every sequence can be tried.
package struct AlertPolicy: Sendable {
    /// Counts of a run's summary that are differences between the two sides.
    private static let driftCounts = [
        "missingProducts", "staleProducts", "orphanedProducts", "missing", "stale", "extra",
    ]

    /// Differences found by one run from which on it is an alert; nil never.
    package var driftRows: Int?
    /// Jobs whose every run is reported.
    package var reportsEachRun: @Sendable (JobName) -> Bool

    package init(driftRows: Int? = nil, reportsEachRun: @escaping @Sendable (JobName) -> Bool = { _ in false }) {
        self.driftRows = driftRows
        self.reportsEachRun = reportsEachRun
    }

    /// What the ending says. Empty for runs that were cancelled or skipped: people did that, or nothing happened.
    package func observations(of ending: RunEnding) -> [Observation] {
        switch ending.state {
        case .queued, .running, .cancelled, .skipped:
            return []
        case .interrupted:
            return ending.dryRun ? [] : [interrupted(ending)]
        case .failed:
            return ending.dryRun ? [] : [failed(ending)]
        case .succeeded, .partial:
            // A dry run proves nothing about writing, but the differences it found are there.
            guard !ending.dryRun else { return drift(ending) }
            // One stage or account that went well says nothing of the one that failed.
            return (ending.isWhole ? [recovered(ending)] : []) + [letters(ending)] + drift(ending)
        }
    }

    /// The alert that leads from `previous` (nil: nothing was known) to what was observed; nil when that is no news.
    package func alert(_ seen: Observation, previous: String?, of ending: RunEnding, repeated: Bool) -> Alert? {
        let severity: Alert.Severity
        var title = seen.title
        if seen.isGood {
            guard let previous, previous != Observation.good else { return nil }
            severity = .recovery
        } else {
            guard previous != seen.state || repeated else { return nil }
            severity = .problem
            if previous == seen.state { title = "still: " + title }
        }
        return Alert(
            job: ending.job,
            subject: seen.subject,
            severity: severity,
            title: title,
            lines: seen.lines,
            runID: ending.id
        )
    }

    /// The figures of one run, where its job reports each.
    package func report(of ending: RunEnding) -> Alert? {
        guard reportsEachRun(ending.job), !ending.dryRun, ending.state == .succeeded || ending.state == .partial else {
            return nil
        }
        let counts = ending.counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        return Alert(
            job: ending.job,
            subject: .report,
            severity: .information,
            title: "\(ending.job) \(ending.state.rawValue)",
            lines: [
                counts.isEmpty ? nil : counts.joined(separator: ", "), ending.position.map { "read up to \($0)" },
            ].compactMap { $0 },
            runID: ending.id
        )
    }

    private func failed(_ ending: RunEnding) -> Observation {
        let kind = ending.error?.kind ?? "unknown"
        let stage = ending.error.map { " in \($0.stage)" } ?? ""
        return Observation(
            subject: .run,
            state: "failed/\(kind)",
            title: "\(ending.job) failed: \(kind)\(stage)",
            lines: [ending.error?.summary, ending.error?.remedy].compactMap { $0 }
        )
    }

    private func interrupted(_ ending: RunEnding) -> Observation {
        Observation(
            subject: .run,
            state: "interrupted",
            title: "\(ending.job) was interrupted: its process ended in the middle of the run",
            lines: ["What it had committed stays; the job runs again where its policy says so."]
        )
    }

    private func recovered(_ ending: RunEnding) -> Observation {
        Observation(
            subject: .run,
            state: Observation.good,
            title: "\(ending.job) works again",
            lines: ["Its last run ended as \(ending.state.rawValue)."]
        )
    }

    private func letters(_ ending: RunEnding) -> Observation {
        let count = ending.deadLetters
        return Observation(
            subject: .deadLetters,
            state: count > 0 ? "open" : Observation.good,
            title: "\(ending.job) " + (count > 0 ? "left \(count) dead letters" : "has no dead letters any more"),
            lines: count > 0 ? ["tallyman dead-letters list names key and reason."] : []
        )
    }

    private func drift(_ ending: RunEnding) -> [Observation] {
        guard let driftRows else { return [] }
        let found = Self.driftCounts.compactMap { name in ending.counts[name].map { (name, $0) } }
        guard !found.isEmpty else { return [] }
        let sum = found.reduce(0) { $0 + $1.1 }
        let isBad = sum >= driftRows
        return [
            Observation(
                subject: .drift,
                state: isBad ? "above" : Observation.good,
                title: "\(ending.job) found \(sum) differences" + (isBad ? ", \(driftRows) or more" : ""),
                lines: [found.map { "\($0.0) \($0.1)" }.joined(separator: ", ")]
            )
        ]
    }
}
