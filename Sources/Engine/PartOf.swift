/// The whole that a job's run is a part of.
///
/// Parts of one whole run beside each other, each under a lease and a fence of its own; never beside a run of the whole
/// job (INV-4). Their dead letters are the whole job's.
package struct PartOf: Sendable, Equatable {
    package let job: JobName
    package let run: RunID
    /// The whole's fencing token: once another run of the whole job has taken over, its parts commit no more.
    package let fence: Int64?

    package init(job: JobName, run: RunID, fence: Int64?) {
        self.job = job
        self.run = run
        self.fence = fence
    }
}

extension JobName {
    /// What stands between a whole's name and the number of its part.
    package static let partMark = "/"

    /// The name under which the part of that number has its lease, its fence and its runs.
    package func part(_ index: Int) -> JobName { JobName(rawValue: "\(rawValue)\(Self.partMark)\(index)") }

    /// The whole of a part; nil for a job that stands for itself.
    package var whole: JobName? {
        guard let mark = rawValue.firstIndex(of: "/") else { return nil }
        return JobName(rawValue: String(rawValue[..<mark]))
    }
}
