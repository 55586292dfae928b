package import Postgres

/// Something that moves data. The engine lends it schedule, lease, ledger, progress, retries and dead letters.
package protocol Job: Sendable {
    var name: JobName { get }
    /// Options that mean something to this job; any other is refused before a run begins.
    var knownOptions: Set<RunOptionName> { get }
    /// Jobs that are run together by one name; a member is called `<family>.<definition>` or has a name of its own.
    var family: String? { get }
    /// Databases that the job writes; each carries the fence of its runs.
    var targets: [PGPool] { get }
    /// The run that a run of this job is a part of; nil for a job that stands for itself.
    var partOf: PartOf? { get }
    /// Sets the gauges that tell how the job stands, whichever process ran it: every replica calls it about once a
    /// minute, with the newest run that has an outcome, so that none keeps telling of an older run of its own.
    func publish(_ newest: RunRecord?) async throws
    /// Does the work. Throws the first error that is not to be retried or quarantined.
    func run(_ context: RunContext) async throws -> RunSummary
}

extension Job {
    package var family: String? { nil }
    package var partOf: PartOf? { nil }
    package func publish(_ newest: RunRecord?) async throws {}
}
