package import Engine
package import Foundation
import Runtime

/// What an overview knows of one job.
package struct JobFacts: Sendable {
    package let job: JobDescription
    package var active: RunRecord?
    /// The shards of the active run, where it has some.
    package var shards: [ShardRecord] = []
    /// The newest run that ended and might write.
    package var ended: RunRecord?
    /// The newest of them that says how the whole job stands.
    package var standing: RunRecord?
    package var proved: RunRecord?
    package var compared: RunRecord?
    package var schedule: ScheduleStatus?
    /// nil: the letters cannot be counted now.
    package var openDeadLetters: Int?

    package init(job: JobDescription) { self.job = job }

    /// What still differs after the newest run that compared; nil where the job compares nothing.
    package var drift: Drift? { compared.flatMap { Drift(leftBy: $0) } }

    /// Whether two instants of the schedule have passed since the last proof, the later one five minutes ago.
    func isOverdue(at now: Date) -> Bool {
        guard let schedule, !schedule.isPaused, let proved = (proved ?? compared)?.finishedAt,
            schedule.pastInstants.count == 2
        else {
            return false
        }
        return proved < schedule.pastInstants[1] && now.timeIntervalSince(schedule.pastInstants[0]) > 300
    }

    /// The newest run that proves how the whole job stands, dry where it compared.
    var proof: RunRecord? { [proved, compared].compactMap(\.self).max { $0.queuedAt < $1.queuedAt } }

    /// Why the job as a whole is not proved; nil where it is.
    var unproved: String? {
        let name = job.name
        let verbs: [RunState: String] = [
            .failed: "failed", .interrupted: "was interrupted", .cancelled: "was cancelled",
        ]
        if let standing, let verb = verbs[standing.state], proof.map({ $0.queuedAt < standing.queuedAt }) ?? true {
            return "the last run of \(name) \(verb)"
        }
        guard proof == nil else { return nil }
        return ended == nil ? "\(name) has not run" : "no run of \(name) has covered all of it"
    }

    /// Whether it is expected to run: by its schedule, or because it compares what others rely on.
    var isExpected: Bool { job.name != "health_check" && (schedule != nil || compared != nil) }
}

/// Differences between both sides of a job.
package struct Drift: Sendable, Equatable {
    package let missing: Int
    package let stale: Int
    package let orphaned: Int

    package var total: Int { missing + stale + orphaned }

    package init(missing: Int, stale: Int, orphaned: Int) {
        (self.missing, self.stale, self.orphaned) = (missing, stale, orphaned)
    }

    /// What a run found, repaired or not; nil when it compared nothing.
    package init?(foundIn counts: [String: Int]) {
        if let missing = counts["missingProducts"] {
            self.init(missing: missing, stale: counts["staleProducts"] ?? 0, orphaned: counts["orphanedProducts"] ?? 0)
        } else if let missing = counts["missing"], let stale = counts["stale"] {
            // Of a verified export, to whose table others may add rows of their own.
            self.init(missing: missing, stale: stale, orphaned: 0)
        } else {
            return nil
        }
    }

    /// What a run left: what it found without what it wrote.
    package init?(leftBy record: RunRecord) {
        let counts = RunCounts(record)
        guard let found = Drift(foundIn: counts.all) else { return nil }
        self.init(
            missing: max(0, found.missing - counts["insertedProducts"]),
            stale: max(0, found.stale - counts["updatedProducts"]),
            orphaned: max(0, found.orphaned - counts["deletedProducts"] - counts["markedProducts"])
        )
    }

    var words: String {
        [(missing, "missing"), (stale, "stale"), (orphaned, "orphaned")].filter { $0.0 > 0 }
            .map { "\(Drift.grouped($0.0)) \($0.1)" }.joined(separator: ", ")
    }

    static func grouped(_ number: Int) -> String {
        var digits = String(number)
        var at = digits.count - 3
        while at > 0 {
            digits.insert(",", at: digits.index(digits.startIndex, offsetBy: at))
            at -= 3
        }
        return digits
    }
}

/// Everything an overview is judged by.
package struct OverviewFacts: Sendable {
    package var now: Date
    package var probes: [(name: String, isConnection: Bool, result: ProbeResult)] = []
    package var jobs: [JobFacts] = []
    package var scheduler: SchedulerStatus?
    /// Why the ledger could not be read; then nothing is known of the jobs.
    package var ledgerFailure: String?
    /// Why the dead letters could not be counted; their numbers are then nil.
    package var lettersFailure: String?
    package var isDraining = false

    package init(now: Date) { self.now = now }
}
