package import Runtime

/// The last check of a run in shards: what both sides hold now against what the shards say they left.
///
/// Each shard proves its own writes. This proves that no range was forgotten, done twice or done on another cut: a
/// number that is off by more than the shop may have changed meanwhile ends the run as a failure (INV-11).
package struct FinalCount: Sendable, Equatable {
    package let expectedSource: Int
    package let countedSource: Int
    package let expectedTarget: Int
    package let countedTarget: Int
    package let shards: Int
    /// Rows that the expected number may lack: their documents could not be compared, or they changed meanwhile.
    package let unsettled: Int

    package init(
        expectedSource: Int,
        countedSource: Int,
        expectedTarget: Int,
        countedTarget: Int,
        shards: Int,
        unsettled: Int = 0
    ) {
        self.expectedSource = expectedSource
        self.countedSource = countedSource
        self.expectedTarget = expectedTarget
        self.countedTarget = countedTarget
        self.shards = shards
        self.unsettled = unsettled
    }

    /// The same with another count of the source.
    package func recounted(source: Int) -> FinalCount {
        FinalCount(
            expectedSource: expectedSource,
            countedSource: source,
            expectedTarget: expectedTarget,
            countedTarget: countedTarget,
            shards: shards,
            unsettled: unsettled
        )
    }

    /// Rows that both sides are off by together.
    package var drift: Int { abs(countedSource - expectedSource) + abs(countedTarget - expectedTarget) }

    /// What the shop may have changed since the shards looked: one in a hundred, or 16 where that is less; never as
    /// much as half a range of mean size, so that a range that is missing is always found. Rows that nobody settled
    /// come on top.
    package var allowed: Int {
        let most = max(expectedSource, expectedTarget, countedSource, countedTarget)
        return min(most / (2 * max(1, shards)), max(16, most / 100)) + unsettled
    }

    package var agrees: Bool { drift <= allowed }

    /// Throws `.proofFailed` when the count does not agree.
    package func check() throws {
        guard !agrees else { return }
        throw TallyError(
            .proofFailed,
            during: "sync.finalCount",
            "the shards read \(expectedSource) documents and left \(expectedTarget) rows, but there are "
                + "\(countedSource) and \(countedTarget)",
            remedy: "Run `tallyman validate`; a range was lost, or much changed on one side during the run."
        )
    }

    package var json: JSONValue {
        [
            "sourceExpected": .int(expectedSource), "sourceCounted": .int(countedSource),
            "targetExpected": .int(expectedTarget), "targetCounted": .int(countedTarget), "drift": .int(drift),
            "allowed": .int(allowed),
        ]
    }
}
