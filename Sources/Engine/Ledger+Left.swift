import Postgres
import Runtime

extension Ledger {
    /// Ends runs of a job that were left, by whoever holds the job's lease by now; each as it stood before.
    ///
    /// Throws, and leaves them open, when a target cannot be fenced: a process that only froze must not commit once its
    /// run is on record as interrupted (INV-1).
    func closeLeft(_ job: JobName, targets: [PGPool], under lease: Lease) async throws -> [RunRecord] {
        let left = try await open(job: job)
        if left.contains(where: { $0.fence != nil }) {
            for target in targets { try await Fence.raise(job, to: lease.fence, in: target) }
            // That may have taken longer than a lease lives.
            try await lease.renew()
        }
        for run in left {
            if run.state == .queued { try await move(run.id, to: .running) }
            try await move(run.id, to: .interrupted)
        }
        return left
    }
}
