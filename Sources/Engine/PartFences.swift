package import Postgres

/// Raises the fences of parts that run inside their whole's process.
///
/// Their numbers come from the same rows as those of parts in processes of their own, so that they only rise.
package struct PartFences: Sendable {
    let state: PGPool
    let targets: [PGPool]
    let holder: String

    package init(state: PGPool, targets: [PGPool], holder: String) {
        self.state = state
        self.targets = targets
        self.holder = holder
    }

    /// The part's fence, raised in every target. Throws `.leaseLost` when another run of the whole has taken over.
    func raise(_ job: JobName, of whole: PartOf) async throws -> Int64 {
        let fence = try await state.withConnection { connection in
            try await Lease.nextFence(Lease.name(of: job), run: whole.run, holder: holder, on: connection)
        }
        for target in targets { try await Fence.raise(job, to: fence, partOf: whole, in: target) }
        return fence
    }
}
