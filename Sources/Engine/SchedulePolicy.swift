package import Cron
package import Foundation

/// What happens when a job is due and still runs.
package enum OverlapPolicy: String, Sendable, CaseIterable, Codable {
    /// The fire is recorded as a skipped run.
    case skip
    /// One fire waits until the run has ended; further ones are skipped.
    case queue
}

/// What happens with fires that nobody was there for.
package enum MisfirePolicy: String, Sendable, CaseIterable, Codable {
    /// One run for all that were missed.
    case latest
    case none
    /// One run each, oldest first, at most the schedule's limit.
    case all
}

/// When a job is due, and what to do when that cannot be kept.
package struct ScheduleDefinition: Sendable {
    package let job: JobName
    package var expression: CronExpression
    package var timeZone: TimeZone
    package var overlap: OverlapPolicy
    package var misfire: MisfirePolicy
    /// Most fires made up by `all`: 1…1,000.
    package var misfireLimit: Int
    /// Fires older than this are forgotten, in seconds.
    package var misfireWindow: TimeInterval
    /// A fire runs up to this many seconds late, drawn anew for each, never past the next one.
    package var jitter: TimeInterval
    /// What its runs are asked to do.
    package var options: RunOptions
    /// A run whose process died is taken up again.
    package var resumes: Bool

    package init(
        job: JobName,
        expression: CronExpression,
        timeZone: TimeZone,
        overlap: OverlapPolicy = .skip,
        misfire: MisfirePolicy = .latest,
        misfireLimit: Int = 10,
        misfireWindow: TimeInterval = 86_400,
        jitter: TimeInterval = 0,
        options: RunOptions = RunOptions(),
        resumes: Bool = true
    ) {
        self.job = job
        self.expression = expression
        self.timeZone = timeZone
        self.overlap = overlap
        self.misfire = misfire
        self.misfireLimit = misfireLimit
        self.misfireWindow = misfireWindow
        self.jitter = jitter
        self.options = options
        self.resumes = resumes
    }
}

extension ScheduleDefinition {
    package var expressionText: String { expression.text }
    /// The expression in words: "every 30 minutes".
    package var expressionWords: String { expression.words }

    /// A fire found late by more than this was missed: the daemon was down, busy or asleep, or the clock was set.
    static let lateAfter: TimeInterval = 30

    /// The instants to fire at `now`, oldest first: pure arithmetic over the last fire that is on record.
    ///
    /// Nothing when the clock was set back behind `last`. Costs a few looks at the expression; with `all` as many as
    /// fires are made up.
    package func due(after last: Date, at now: Date) -> [Date] {
        let start = max(last, now.addingTimeInterval(-misfireWindow))
        guard start < now else { return [] }
        var found: [Date] = []
        // From the newest back: after a long pause of a frequent schedule nobody walks through every minute of it.
        var before = now.addingTimeInterval(0.001)
        let wanted = misfire == .all ? misfireLimit : 1
        while found.count < wanted, let fire = expression.previous(before: before, in: timeZone), fire > start {
            before = fire
            if fire.addingTimeInterval(delay(of: fire)) <= now { found.append(fire) }
        }
        if misfire == .none { found.removeAll { now.timeIntervalSince($0) > Self.lateAfter + jitter } }
        return found.reversed()
    }

    /// Whether a fire found at `now` was missed and gets a run of its own all the same (`misfire: all`).
    ///
    /// - Parameter isNewest: it is the last of those found at once.
    package func makesUp(_ fire: Date, at now: Date, isNewest: Bool) -> Bool {
        misfire == .all && (!isNewest || now.timeIntervalSince(fire) > Self.lateAfter + jitter)
    }

    /// The seconds a fire is put off: uniform in 0…jitter, the same on every replica, never past the next fire.
    package func delay(of fire: Date) -> TimeInterval {
        guard jitter > 0 else { return 0 }
        var ceiling = jitter
        if let next = expression.next(after: fire, in: timeZone) {
            ceiling = min(ceiling, max(0, next.timeIntervalSince(fire) - 1))
        }
        return Double(hash(of: fire) >> 11) / Double(1 << 53) * ceiling
    }

    /// FNV-1a over job and instant, mixed once more (SplitMix64): the draw must not differ between replicas.
    private func hash(of fire: Date) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in "\(job)@\(Int(fire.timeIntervalSince1970))".utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB
        return hash ^ (hash >> 31)
    }
}
