package import Foundation
package import Runtime

/// A job's name: lower case with underscores, as operators type it.
package struct JobName: RawRepresentable, Hashable, Sendable, Codable, ExpressibleByStringLiteral,
    CustomStringConvertible
{
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }
    package init(stringLiteral value: String) { rawValue = value }
    package var description: String { rawValue }
}

/// Identifies one run in the ledger.
package struct RunID: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
    package let rawValue: UUID
    package init(rawValue: UUID) { self.rawValue = rawValue }
    package init() { rawValue = UUID() }
    package init?(_ text: String) {
        guard let uuid = UUID(uuidString: text) else { return nil }
        rawValue = uuid
    }
    package var description: String { rawValue.uuidString.lowercased() }
}

/// What asked for a run.
package enum RunTrigger: String, Sendable, Codable, CaseIterable { case schedule, api, cli }

package enum RunState: String, Sendable, Codable, CaseIterable {
    case queued, running, succeeded, partial, failed, cancelled, interrupted, skipped

    package var isFinal: Bool { self != .queued && self != .running }

    /// The states that may follow this one.
    package var successors: Set<RunState> {
        switch self {
        case .queued: [.running, .skipped, .cancelled, .failed]
        case .running: [.succeeded, .partial, .failed, .cancelled, .interrupted]
        case .succeeded, .partial, .failed, .cancelled, .interrupted, .skipped: []
        }
    }
}

/// The options that some job knows.
package enum RunOptionName: String, Sendable, CaseIterable {
    case dryRun, batchSize, verify, pipeline, stage, since, until, date, startDate, endDate, definition
    case daysBack, batchDays, backfill, full, fromBronze, account
}

/// What a run was asked to do, beyond its job's settings.
package struct RunOptions: Sendable, Equatable, Codable {
    package var dryRun: Bool
    /// Rows: 1…100,000.
    package var batchSize: Int?
    package var verify: Bool?
    package var pipeline: String?
    package var stage: String?
    package var since: String?
    package var until: String?
    package var date: String?
    package var startDate: String?
    package var endDate: String?
    package var definition: String?
    /// Days before today: 1…3,660.
    package var daysBack: Int?
    /// Days a window of a backfill: 1…366.
    package var batchDays: Int?
    package var backfill: Bool?
    /// Read everything again, whatever the watermark says.
    package var full: Bool?
    package var fromBronze: String?
    package var account: String?

    package init(dryRun: Bool = false, batchSize: Int? = nil, verify: Bool? = nil) {
        self.dryRun = dryRun
        self.batchSize = batchSize
        self.verify = verify
    }
}

extension RunOptions {
    /// The options that were given, by name.
    package var given: Set<RunOptionName> {
        let all: [(RunOptionName, Bool)] = [
            (.dryRun, dryRun), (.batchSize, batchSize != nil), (.verify, verify != nil), (.pipeline, pipeline != nil),
            (.stage, stage != nil), (.since, since != nil), (.until, until != nil), (.date, date != nil),
            (.startDate, startDate != nil), (.endDate, endDate != nil), (.definition, definition != nil),
            (.daysBack, daysBack != nil), (.batchDays, batchDays != nil), (.backfill, backfill != nil),
            (.full, full != nil), (.fromBronze, fromBronze != nil), (.account, account != nil),
        ]
        return Set(all.filter(\.1).map(\.0))
    }
}

/// Which check a success rests on (INV-11).
package enum Proof: String, Sendable, Codable {
    case commandTags = "command-tags"
    case fullCompare = "full-compare"
    case compareOnly = "compare-only"
}

/// What a job says at its end.
package struct RunSummary: Sendable {
    package let counts: [String: Int]
    package let details: JSONValue
    package let deadLetters: Int
    package let proof: Proof
    /// It covered all that a run of the job's schedule covers. A run of one stage, account or old day proves itself and
    /// nothing about the rest of its job: it is no success of the job, and takes back no failure.
    package let isWhole: Bool

    package init(counts: [String: Int], details: JSONValue, deadLetters: Int, proof: Proof, isWhole: Bool = true) {
        self.counts = counts
        self.details = details
        self.deadLetters = deadLetters
        self.proof = proof
        self.isWhole = isWhole
    }

    /// As the ledger keeps it.
    func json(retries: Int) -> JSONValue {
        var members: [String: JSONValue] = [
            "counts": .object(counts.mapValues { .int($0) }), "details": details, "proof": .string(proof.rawValue),
            "retries": .int(retries),
        ]
        if !isWhole { members["isWhole"] = false }
        return .object(members)
    }
}

/// A failure as the ledger keeps it.
package struct RunError: Sendable, Equatable, Codable {
    package let kind: String
    package let stage: String
    package let summary: String
    package let remedy: String?

    package init(_ error: TallyError) {
        kind = error.kind.rawValue
        stage = error.stage
        summary = error.summary
        remedy = error.remedy
    }
}

/// One row of the ledger.
package struct RunRecord: Sendable {
    package let id: RunID
    package let job: JobName
    package let trigger: RunTrigger
    package let requestedBy: String
    package let dryRun: Bool
    /// What it was asked to do as an object of `RunOptionName`s, without `dryRun`; empty means all defaults.
    package let options: JSONValue
    package let state: RunState
    package let fence: Int64?
    package let queuedAt: Date
    package let startedAt: Date?
    package let finishedAt: Date?
    package let heartbeatAt: Date?
    package let progress: JSONValue?
    package let summary: JSONValue?
    package let error: RunError?
    /// 1, and one more each time it was taken up again after a process died.
    package let attempt: Int
    package let resumedFrom: RunID?
    /// The run that this one is a part of.
    package let partOf: RunID?
    /// Carried by the processes of its parts, not by one of its own.
    package let isInParts: Bool
    /// Somebody asked to cancel it.
    package let isCancelRequested: Bool

    package init(
        id: RunID,
        job: JobName,
        trigger: RunTrigger,
        requestedBy: String,
        dryRun: Bool,
        options: JSONValue = [:],
        state: RunState,
        fence: Int64? = nil,
        queuedAt: Date,
        startedAt: Date? = nil,
        finishedAt: Date? = nil,
        heartbeatAt: Date? = nil,
        progress: JSONValue? = nil,
        summary: JSONValue? = nil,
        error: RunError? = nil,
        attempt: Int = 1,
        resumedFrom: RunID? = nil,
        partOf: RunID? = nil,
        isInParts: Bool = false,
        isCancelRequested: Bool = false
    ) {
        self.id = id
        self.job = job
        self.trigger = trigger
        self.requestedBy = requestedBy
        self.dryRun = dryRun
        self.options = options
        self.state = state
        self.fence = fence
        self.queuedAt = queuedAt
        self.startedAt = startedAt
        self.finishedAt = finishedAt
        self.heartbeatAt = heartbeatAt
        self.progress = progress
        self.summary = summary
        self.error = error
        self.attempt = attempt
        self.resumedFrom = resumedFrom
        self.partOf = partOf
        self.isInParts = isInParts
        self.isCancelRequested = isCancelRequested
    }
}

extension RunRecord {
    /// It ended because its process was told to stop, not because it died.
    var wasStopped: Bool { state == .interrupted && error?.kind == TallyError.Kind.cancelled.rawValue }
}

/// A run of the job is under way somewhere; nothing was started.
package struct RunBusy: Error, Sendable, Equatable {
    package let job: JobName
    package let running: RunID?

    package init(job: JobName, running: RunID?) {
        self.job = job
        self.running = running
    }
}
