import Foundation
import TestKit
import Testing

/// INV-4: several daemons on one state database; whatever becomes of one, there is one leader and one run per job.
@Suite(.serialized) struct ReplicaTests {
    /// Nobody leads for at most that long.
    /// Fifteen seconds are promised and measured by bin/reliability; a machine that is busy with other tests may be
    /// some times slower.
    private static let failoverMax = Duration.seconds(60)

    @Test func threeReplicasRunEachJobOnceAndHaveOneLeader() async throws {
        let replicas = try await Replicas.make(products: 500)
        let daemons = try await [replicas.daemon(), replicas.daemon(), replicas.daemon()]
        try await replicas.nextLeader(after: nil)
        for round in 1...8 {
            if round % 2 == 0 { try replicas.fire() }
            let answers = await withTaskGroup(of: Daemon.Answer?.self) { group in
                for daemon in daemons { group.addTask { try? await daemon.start("product_sync") } }
                return await group.reduce(into: [Daemon.Answer?]()) { $0.append($1) }
            }
            #expect(answers.allSatisfy { $0?.status == 202 || $0?.status == 409 }, "round \(round): \(answers)")
            try await replicas.runs(round, are: "succeeded")
        }
        try await Eventually.holds("every fire is settled") {
            try replicas.psql("SELECT count(*) FROM etl.fires WHERE outcome IN ('due', 'waiting')") == "0"
        }
        #expect(try replicas.illegal() == "")
        let leading = await withTaskGroup(of: Bool.self) { group in
            for daemon in daemons {
                group.addTask {
                    (try? await daemon.send("GET", "/api/etl/status").text.contains("\"isLeader\":true")) ?? false
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(leading == 1)
        replicas.source.stop()
    }

    @Test func aKilledLeaderIsFollowedByTheNext() async throws {
        let replicas = try await Replicas.make(products: 200)
        let gate = StandInGate()
        replicas.source.script(StandInFault(.hold(gate), on: ["find"], times: .max))
        let first = try await replicas.daemon()
        try await replicas.nextLeader(after: nil)
        let second = try await replicas.daemon()
        try replicas.fire()
        try await gate.waitForArrival()
        #expect(try replicas.leader() == first.pid)
        first.signal(SIGKILL)
        let took = try await replicas.nextLeader(after: first.pid)
        Measured.print("failover, leader killed", took)
        #expect(took < Self.failoverMax)
        #expect(try replicas.leader() == second.pid)
        gate.open()
        // What it had under way is closed with its last progress, and done by the next.
        try await replicas.runs(1, are: "succeeded")
        #expect(
            try replicas.psql("SELECT state, attempt FROM etl.runs ORDER BY queued_at") == "interrupted|1\nsucceeded|2"
        )
        #expect(try replicas.psql("SELECT count(*) FROM product") == "200")
        #expect(try replicas.illegal() == "")
        replicas.source.stop()
    }

    @Test func aFrozenLeaderIsReplacedAlthoughItsSessionLives() async throws {
        let replicas = try await Replicas.make(products: 100)
        let first = try await replicas.daemon()
        try await replicas.nextLeader(after: nil)
        let second = try await replicas.daemon()
        first.signal(SIGSTOP)
        let locks = try replicas.psql(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
                + "WHERE d.datname = current_database() AND l.locktype = 'advisory' AND granted"
        )
        #expect(locks == "1", "the frozen one's session still holds the lock")
        let took = try await replicas.nextLeader(after: first.pid)
        Measured.print("failover, leader frozen", took)
        #expect(took < Self.failoverMax)
        first.signal(SIGCONT)
        try await first.ready()
        try await Eventually.holds("the woken one knows that it does not lead") {
            try await first.send("GET", "/api/etl/status").text.contains("\"isLeader\":false")
        }
        #expect(try replicas.leader() == second.pid)
        try replicas.fire()
        try await replicas.runs(1, are: "succeeded")
        #expect(try replicas.illegal() == "")
        replicas.source.stop()
    }

    /// Frozen inside its writing transaction, its rows sent: another takes over, and COMMIT comes too late.
    @Test(arguments: ["write.afterFence", "insert.sent", "write.beforeCommit"])
    func aRunFrozenInItsTransactionCommitsNothing(point: String) async throws {
        let replicas = try await Replicas.make(products: 400)
        let frozen = try await replicas.daemon(["TALLYMAN_FAILPOINT": "\(point):1:stop"])
        try await replicas.nextLeader(after: nil)
        let second = try await replicas.daemon()
        #expect(try await frozen.start("product_sync").status == 202)
        try await Eventually.holds("the failpoint froze it") { frozen.isStopped }
        let early = "SELECT count(*) FROM product WHERE NOT EXISTS (SELECT FROM etl.runs WHERE attempt > 1)"
        #expect(try replicas.psql(early) == "0", "nothing is committed yet")
        let took = try await replicas.nextLeader(after: frozen.pid)
        #expect(took < Self.failoverMax)
        try await replicas.runs(1, are: "succeeded")
        let states = "SELECT state, attempt, holder LIKE '%:\(second.pid)' FROM etl.runs ORDER BY queued_at"
        #expect(try replicas.psql(states) == "interrupted|1|f\nsucceeded|2|t")
        let image = try replicas.image()
        #expect(image.hasPrefix("400|"))
        frozen.signal(SIGCONT)
        try await frozen.ready()
        try await Eventually.holds("the woken run has ended") {
            frozen.child.progress.value.errorText.contains("the end of a run could not be written")
        }
        #expect(try replicas.image() == image, "no row, no version of a row is the woken one's")
        #expect(try replicas.psql(states) == "interrupted|1|f\nsucceeded|2|t")
        // It is as good as new: the next run may be its own.
        #expect(try await frozen.start("product_sync").status == 202)
        try await replicas.runs(2, are: "succeeded")
        #expect(try replicas.illegal() == "")
        replicas.source.stop()
    }

    @Test func aServerThatRestartsUnderAllLosesNothing() async throws {
        let server = try RestartablePostgres()
        let replicas = try await Replicas.make(products: 3_000, in: server)
        let daemons = try await [replicas.daemon(), replicas.daemon(), replicas.daemon()]
        try await replicas.nextLeader(after: nil)
        for round in 1...3 {
            let gate = StandInGate()
            replicas.source.script(StandInFault(.hold(gate), on: ["find"], skip: round, times: .max))
            for number in 0..<300 {
                try replicas.source.replace(ShopDocuments.product(number, revision: round), in: "products")
            }
            try replicas.fire()
            try await gate.waitForArrival()
            try server.crashAndRestart()
            gate.open()
            replicas.source.clearFaults()
            try await replicas.runs(round, are: "succeeded", within: .seconds(90))
            #expect(
                try replicas.psql("SELECT count(*), count(*) FILTER (WHERE title LIKE '%rev \(round)') FROM product")
                    == "3000|300"
            )
            try await replicas.nextLeader(after: nil)
            for daemon in daemons { try await daemon.ready() }
        }
        #expect(try replicas.illegal() == "")
        replicas.source.stop()
    }

    /// Only its own connections end: it takes its locks again, and its run goes on.
    @Test func aReplicaWhoseSessionsAreEndedGoesOn() async throws {
        let replicas = try await Replicas.make(products: 3_000)
        let daemon = try await replicas.daemon()
        let other = try await replicas.daemon()
        try await replicas.nextLeader(after: nil)
        let gate = StandInGate()
        replicas.source.script(StandInFault(.hold(gate), on: ["find"], skip: 2, times: .max))
        #expect(try await daemon.start("product_sync").status == 202)
        try await gate.waitForArrival()
        let ended = try replicas.psql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
                + "WHERE d.datname = current_database() AND l.locktype = 'advisory'"
        )
        #expect(ended == "2", "the leader's and the run's")
        try await Eventually.holds("who leads has its lock again") {
            try replicas.psql(
                "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
                    + "WHERE d.datname = current_database() AND l.locktype = 'advisory' AND granted"
            ) != "0" && replicas.leader() != nil
        }
        gate.open()
        try await replicas.runs(1, are: "succeeded")
        #expect(try [daemon.pid, other.pid].contains(replicas.leader() ?? 0))
        #expect(try replicas.illegal() == "")
        replicas.source.stop()
    }

    /// One replica cannot reach the database any more, the others can: they take over, and it does no harm afterwards.
    @Test(arguments: [false, true])
    func aReplicaCutOffIsReplaced(isSilent: Bool) async throws {
        let replicas = try await Replicas.make(products: 3_000)
        guard let port = URL(string: replicas.cart)?.port else { throw TestServiceMissing("the URL has no port") }
        let proxy = try TCPProxy(to: port)
        let first = try await replicas.daemon(through: proxy.port)
        try await replicas.nextLeader(after: nil)
        let second = try await replicas.daemon()
        let gate = StandInGate()
        replicas.source.script(StandInFault(.hold(gate), on: ["find"], skip: 2, times: .max))
        #expect(try await first.start("product_sync").status == 202)
        try await gate.waitForArrival()
        if isSilent {
            proxy.stall(true)
        } else {
            proxy.refuse(true)
            proxy.cut()
        }
        let took = try await replicas.nextLeader(after: first.pid)
        Measured.print("failover, leader cut off\(isSilent ? " in silence" : "")", took)
        #expect(took < Self.failoverMax)
        gate.open()
        try await replicas.runs(1, are: "succeeded")
        proxy.refuse(false)
        proxy.stall(false)
        try await first.ready()
        #expect(try replicas.leader() == second.pid)
        #expect(try replicas.psql("SELECT count(*), count(DISTINCT id) FROM product") == "3000|3000")
        #expect(try await first.start("product_sync").status == 202)
        try await replicas.runs(2, are: "succeeded")
        #expect(try replicas.illegal() == "")
        replicas.source.stop()
        proxy.close()
    }

    /// A rolling restart: what a stopped process had under way is taken up by another, and has used no attempt.
    @Test func aStoppedReplicasRunIsTakenUpAndUsedNoAttempt() async throws {
        let replicas = try await Replicas.make(products: 3_000)
        let first = try await replicas.daemon()
        try await replicas.nextLeader(after: nil)
        let gate = StandInGate()
        replicas.source.script(StandInFault(.hold(gate), on: ["find"], skip: 2, times: .max))
        #expect(try await first.start("product_sync").status == 202)
        try await gate.waitForArrival()
        let second = try await replicas.daemon()
        first.signal(SIGTERM)
        #expect(try await first.child.wait(within: .seconds(30)) == .code(0), "inside the grace period")
        gate.open()
        try await replicas.runs(1, are: "succeeded")
        let story = try replicas.psql("SELECT state, attempt, trigger, error FROM etl.runs ORDER BY queued_at")
        #expect(
            try replicas.psql("SELECT state, attempt, trigger FROM etl.runs ORDER BY queued_at")
                == "interrupted|1|api\nsucceeded|1|api",
            "\(story) \(first.child.progress.value.errorText)"
        )
        #expect(try replicas.leader() == second.pid)
        #expect(try replicas.illegal() == "")
        replicas.source.stop()
    }
}
