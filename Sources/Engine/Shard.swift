package import Foundation
package import Runtime

/// What one shard of a run works on: half-open, from the lower bound on, up to but without the upper one.
///
/// What a bound says is the job's matter; an absent one leaves that end open.
package struct ShardBounds: Sendable, Equatable {
    package let lower: JSONValue?
    package let upper: JSONValue?

    package init(lower: JSONValue?, upper: JSONValue?) {
        self.lower = lower
        self.upper = upper
    }
}

/// A run's cut: what it was made from, and the bounds of every shard.
package struct ShardCut: Sendable, Equatable {
    /// What every shard must agree about, such as the mapping; kept with the run.
    package let facts: JSONValue
    package let shards: [ShardBounds]

    package init(facts: JSONValue, shards: [ShardBounds]) {
        self.facts = facts
        self.shards = shards
    }
}

/// What a shard says when it is done.
package struct ShardResult: Sendable {
    package let counts: [String: Int]
    package let details: JSONValue
    package let deadLetters: Int
    /// What only the end of the whole may act on.
    package let remainder: [UInt8]

    package init(counts: [String: Int], details: JSONValue, deadLetters: Int, remainder: [UInt8]) {
        self.counts = counts
        self.details = details
        self.deadLetters = deadLetters
        self.remainder = remainder
    }
}

/// A shard as it is stored.
package struct ShardRecord: Sendable {
    /// How a shard stands; `lost`, `failed` and the like come from the run that carried it.
    package enum State: String, Sendable, CaseIterable {
        case waiting, running, done, lost, failed, cancelled, interrupted
    }

    package let index: Int
    package let bounds: ShardBounds
    package let state: State
    package let attempts: Int
    /// The newest run that carried it; nil inside its whole's process.
    package let run: RunID?
    package let progress: JSONValue?
    package let progressAt: Date?
    package let counts: [String: Int]
    package let details: JSONValue
    package let deadLetters: Int
    package let startedAt: Date?
    package let finishedAt: Date?
}
