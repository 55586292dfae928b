import Engine
import Logging
import Mongo
import Postgres
import ProductSync
import Runtime
import Synchronization
import TestKit
import Testing

/// A target that crashes and forgets what was committed asynchronously, noticed by nobody who was writing.
@Suite(.serialized) struct TargetLossTests {
    /// INV-11: the crash falls between two stretches, so that a read meets it, or nobody at all: the pool replaces the
    /// session that had committed.
    @Test func aCrashThatNoWriteMetIsRepairedBeforeSuccess() async throws {
        let server = try RestartablePostgres()
        let cart = PGPool(PGSettings(url: Secret(server.url), applicationName: "tallyman-test"), maxConnections: 6)
        let source = try MongoPool(
            MongoSettings(
                url: Secret(try TestMongo.freshDatabaseURL()),
                user: nil,
                password: nil,
                applicationName: "tallyman-test"
            )
        )
        let bench = SyncBench(url: server.url, cart: cart, mongo: source)
        let state = try await ScriptedRuns.database()
        try await bench.execute(SyncBench.table)
        _ = try await cart.withConnection { try await EngineMigrations.migrator().up($0) }
        try await Self.keepCommitsInMemory(bench)
        let products = 6_000
        try await bench.load(products)
        let first = try await bench.run(bench.job(), state: state)
        #expect(first.state == .succeeded, "\(String(describing: first.error))")
        try await bench.execute("UPDATE product SET title = 'stale'; CHECKPOINT")

        let stretches = Mutex(0)
        let crash = Failpoint { name in
            guard name == "compare.settled" else { return }
            let stretch = stretches.withLock { count in
                count += 1
                return count
            }
            if stretch == 1 { try server.crashAndRestart() }
        }
        let run = try await bench.run(bench.job(), failpoint: crash, state: state)
        #expect(stretches.withLock { $0 } > 1, "the crash came before the last stretch")
        #expect(run.state == .succeeded, "\(String(describing: run.error))")
        #expect(
            try await bench.number("SELECT count(*)::int FROM product WHERE title = 'stale'") == 0,
            "what the crash forgot was written again before the run called itself a success"
        )
        await bench.close()
        await state.close()
    }

    /// Asynchronous commits reach the disk with the next synchronous one only.
    private static func keepCommitsInMemory(_ bench: SyncBench) async throws {
        for setting in [
            "wal_writer_delay = '10s'", "wal_writer_flush_after = '1GB'", "full_page_writes = off", "autovacuum = off",
        ] {
            try await bench.execute("ALTER SYSTEM SET \(setting)")
        }
        _ = try await bench.sql("SELECT pg_reload_conf()")
    }

    /// Whoever finds a session dead, the pool counts it.
    @Test func thePoolCountsEverySessionThatWasLost() async throws {
        let pool = try await ScriptedRuns.database()
        let admin = try await PGConnection.connect(pool.settings)
        func end(_ pid: Int32) async throws {
            _ = try await admin.query("SELECT pg_terminate_backend($1::int, 5000)", [.int(Int64(pid))])
        }
        #expect(pool.sessionsLost == 0)
        // Idle: the pool finds it dead, or its next user does.
        try await end(try await pool.withConnection { $0.backendPID })
        do {
            _ = try await pool.withConnection { try await $0.query("SELECT 1") }
        } catch let error as TallyError {
            #expect(error.kind == .targetUnreachable)
        }
        #expect(pool.sessionsLost == 1)
        // Lent: a read meets it.
        await #expect(throws: TallyError.self) {
            try await pool.withConnection { connection in
                try await end(connection.backendPID)
                _ = try await connection.query("SELECT 1")
            }
        }
        #expect(pool.sessionsLost == 2)
        await admin.close()
        await pool.close()
    }

    /// A server that falls silent behind the login holds nobody up for longer than the connect timeout.
    @Test func aServerSilentAfterTheLoginIsGivenUp() async throws {
        let server = try SilentServer()
        let settings = PGSettings(
            url: Secret("postgresql://nobody@127.0.0.1:\(server.port)/none?sslmode=disable&gssencmode=disable"),
            applicationName: "tallyman-test",
            connectTimeout: .seconds(2)
        )
        let error = await #expect(throws: TallyError.self) {
            try await withDeadline(.seconds(60), during: "test") { _ = try await PGConnection.connect(settings) }
        }
        #expect(error?.stage == "postgres.session")
        #expect(error?.kind == .targetUnreachable)
        server.close()
    }
}
