import Engine
import Logging
import Postgres
import ProductSync
import Runtime
import TestKit

/// A product sync in shards as processes of their own carry it, here inside the test's process, so that something may
/// happen between two of their steps.
struct ShardProcess {
    let bench: SyncBench
    let job: ProductSyncJob
    private static let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    init(_ bench: SyncBench, _ settings: ProductSyncSettings = ProductSyncSettings()) {
        self.bench = bench
        job = bench.job(settings)
    }

    func join(_ index: Int, of count: Int, run: RunID? = nil) async throws -> ProductSyncShards.Joined {
        let shards = ProductSyncShards(job: job, state: bench.cart, holder: "shard \(index)", logger: Self.logger)
        return try await shards.join(index, of: count, run: run, options: RunOptions(), requestedBy: "test")
    }

    /// Carries out one shard; the record of its run, or of the one that told it how it had ended.
    @discardableResult
    func carry(
        _ index: Int,
        of count: Int,
        run: RunID? = nil,
        failpoint: Failpoint = .none
    ) async throws -> RunRecord {
        let runner = JobRunner(
            state: bench.cart,
            jobs: [],
            holder: "shard \(index)",
            failpoint: failpoint,
            logger: Self.logger
        )
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await runner.run() }
            defer { group.cancelAll() }
            while true {
                do {
                    switch try await join(index, of: count, run: run) {
                    case .done(let id): return try await runner.wait(id)
                    case .work(let shard):
                        let id = try await runner.submit(shard, RunOptions(), trigger: .cli, requestedBy: "test")
                        return try await runner.wait(id)
                    }
                } catch is RunBusy {
                    // As the command does: a lock that was just given back is there until its session is gone.
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
        }
    }

    func record(_ run: RunID) async throws -> RunRecord {
        guard let record = try await Ledger(state: bench.cart).run(run) else {
            throw TestServiceMissing("run \(run) is not in the ledger")
        }
        return record
    }

    /// A run in parts of two shards of nothing, opened and not begun.
    static func opened(_ state: PGPool, targets: [PGPool] = []) async throws -> RunRecord {
        let nothing = ShardBounds(lower: nil, upper: nil)
        return try await RunInParts(state: state, job: "product_sync", targets: targets, holder: "test")
            .join(nil, options: RunOptions(), requestedBy: "test") {
                ShardCut(facts: .null, shards: [nothing, nothing])
            }
    }
}
