import Engine
import Foundation
import Retail
import RetailMock
import Runtime
import Synchronization
import TestKit
import Testing

/// INV-7, INV-3: stopped at any named point, one quiet run later everything is as after one clean run.
@Suite struct InterruptionTests {
    private struct Stopped: Error {}

    /// Fails at the count-th time that a point is reached.
    private static func failing(at point: String, count: Int) -> (Failpoint, @Sendable () -> Bool) {
        let left = Box(count)
        return (
            Failpoint { name in
                guard name == point else { return }
                if left.countDown() { throw Stopped() }
            }, { left.isSpent }
        )
    }

    private final class Box: Sendable {
        private let left: Mutex<Int>
        init(_ count: Int) { left = Mutex(count) }
        var isSpent: Bool { left.withLock { $0 <= 0 } }
        func countDown() -> Bool {
            left.withLock { left in
                left -= 1
                return left == 0
            }
        }
    }

    @Test(arguments: [
        ("bronze", "bronze.pageWritten", 3), ("bronze", "bronze.beforeRename", 1), ("bronze", "bronze.beforeRename", 2),
        ("bronze", "bronze.afterRename", 1), ("bronze", "bronze.afterRename", 2), ("bronze", "bronze.afterRename", 5),
        ("bronze", "write.afterFence", 1), ("bronze", "write.beforeCommit", 2), ("bronze", "write.afterCommit", 1),
        ("silver", "silver.staged", 2), ("silver", "write.afterFence", 3), ("silver", "write.beforeCommit", 4),
        ("silver", "write.afterCommit", 2),
    ])
    func aStoppedStageIsFinishedByTheNext(stage: String, point: String, count: Int) async throws {
        let stopped = try await RetailBench(sales: 200)
        let (failpoint, wasReached) = Self.failing(at: point, count: count)
        // Files of 60 sales: several to stop between.
        let settings = stopped.settings(fileSalesMax: 60)
        try await stopped.serving { base in
            if stage == "silver" { _ = try await stopped.run(base, settings, options: .stage("bronze")) }
            let broken = try await stopped.run(base, settings, options: .stage(stage), failpoint: failpoint)
            #expect(broken.state == .failed)
            #expect(wasReached(), "\(point) was reached \(count) times")
            let quiet = try await stopped.load(base, settings)
            #expect(quiet.map(\.state) == [.succeeded, .succeeded], "\(quiet.map(\.error))")
        }
        let clean = try await RetailBench(sales: 200)
        try await clean.serving { base in _ = try await clean.load(base, clean.settings(fileSalesMax: 60)) }
        #expect(try stopped.silver() == clean.silver())
        let manifest = try stopped.ask("SELECT path FROM meta.bronze_files ORDER BY path")
        #expect(manifest == stopped.files().joined(separator: "\n"), "no file is forgotten, none half written")
        #expect(try stopped.ask("SELECT cursor_id FROM etl.watermarks") == "\(clean.lastID)")
        await stopped.close()
        await clean.close()
    }

    @Test func aFileMarkedAsRemovedIsRemovedByTheNext() async throws {
        let bench = try await RetailBench(sales: 30)
        try await bench.serving { base in
            try await bench.load(base)
            _ = try bench.ask("UPDATE meta.bronze_files SET day = day - 100")
            let before = Set(bench.files())
            let settings = bench.settings(retentionDays: 90)
            let (failpoint, wasReached) = Self.failing(at: "bronze.beforeRemove", count: 1)
            let broken = try await bench.run(base, settings, options: .stage("bronze"), failpoint: failpoint)
            #expect(broken.state == .failed && wasReached())
            #expect(before.isSubset(of: bench.files()), "marked, and not yet removed")
            #expect(try await bench.run(base, settings, options: .stage("bronze")).state == .succeeded)
            #expect(before.isDisjoint(with: bench.files()))
        }
        await bench.close()
    }

    @Test func aCancelledRunKeepsItsWholeFiles() async throws {
        let bench = try await RetailBench(sales: 200)
        bench.faults.add(.slow, path: "sales", times: 1, after: 3)
        let job = { (base: URL) in
            RetailJob(
                settings: bench.settings(fileSalesMax: 60),
                warehouse: bench.pool,
                api: bench.api(base),
                gold: bench.gold
            )
        }
        try await bench.serving { base in
            let runner = JobRunner(
                state: bench.pool,
                jobs: [job(base)],
                holder: "test",
                logger: RetailBench.quiet
            )
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await runner.run() }
                defer { group.cancelAll() }
                let id = try await runner.submit("retail", .stage("bronze"), trigger: .api, requestedBy: "test")
                // The slow answer holds the run: by then the first files are whole.
                while bench.faults.count > 0 { await Task.yield() }
                #expect(try await runner.cancel(id, by: "test"))
                #expect(try await runner.wait(id).state == .cancelled)
            }
            #expect(try bench.ask("SELECT count(*) FROM meta.bronze_files") == "2")
            let partials = try FileManager.default.subpathsOfDirectory(atPath: bench.folder)
            #expect(!partials.contains { $0.hasSuffix(".partial") })
        }
        await bench.close()
    }
}
