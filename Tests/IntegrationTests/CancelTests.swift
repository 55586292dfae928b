import Engine
import Mongo
import Postgres
import Runtime
import TestKit
import Testing

/// A run ends soon after it is cancelled, wherever it is, though what it waits for would hold it for a minute or more.
///
/// Two seconds are what is promised; bin/reliability prints what was measured. The limit here is that of a machine that
/// is busy with other tests.
@Suite(.serialized) struct CancelTests {
    enum Point: String, CaseIterable, Sendable {
        case ownCode, statement, silentStatement, silentTransaction, silentCopy, fenceRow, silentFence
        case hangingDriver, waitBeforeRetry, poolOfOthers
    }

    private static let limit = Duration.seconds(15)

    @Test(arguments: Point.allCases)
    func endsSoon(point: Point) async throws {
        let took = try await Self.measure(point)
        print("measured cancel, \(point.rawValue) = \(took)")
        #expect(took < Self.limit)
    }

    private static func measure(_ point: Point) async throws -> Duration {
        let runs = try await ScriptedRuns()
        let proxies = Watched<[TCPProxy]>([])
        let target = try await ScriptedRuns.database { port in
            let proxy = try TCPProxy(to: port)
            proxies.change { $0.append(proxy) }
            return proxy.port
        }
        let source = try MongoStandIn()
        let reached = TestSignal()
        let silence: @Sendable () -> Void = {
            proxies.value.first?.stall(true)
            reached.fire()
        }
        let runner = runs.runner(targets: [target]) { context in
            try await Self.hang(point, context, target, source, reached, silence)
            return 0
        }
        let occupier = point == .fenceRow ? try await Self.occupyFence(target) : nil
        if point == .silentFence { silence() }
        if point == .fenceRow { reached.fire() }
        let clock = ContinuousClock()
        let asked = Watched(clock.now)
        let record = try await runs.once(runner) { id in
            await reached.wait()
            // It is inside the call by now, or it ends even sooner.
            try await clock.sleep(for: .milliseconds(100))
            asked.change { $0 = clock.now }
            #expect(try await runner.cancel(id, by: "test"))
        }
        let took = clock.now - asked.value
        #expect(record.state == .cancelled, "\(point): \(String(describing: record.error))")
        await occupier?.close()
        proxies.value.first?.close()
        source.stop()
        await target.close()
        await runs.state.close()
        return took
    }

    private static func hang(
        _ point: Point,
        _ context: RunContext,
        _ target: PGPool,
        _ source: MongoStandIn,
        _ reached: TestSignal,
        _ silence: @escaping @Sendable () -> Void
    ) async throws {
        switch point {
        case .ownCode:
            reached.fire()
            try await Task.sleep(for: .seconds(600))
        case .statement:
            try await target.withConnection { connection in
                reached.fire()
                try await connection.execute("SELECT pg_sleep(600)")
            }
        case .silentStatement:
            try await target.withConnection { connection in
                silence()
                try await connection.execute("SELECT 1")
            }
        case .silentTransaction:
            try await target.withConnection { connection in
                try await context.write(on: connection, durable: false) { _ in
                    silence()
                    try await Task.sleep(for: .seconds(600))
                }
            }
        case .silentCopy:
            try await target.withConnection { connection in
                try await connection.execute("CREATE TABLE sink (n bytea)")
                try await connection.begin()
                try await connection.copyInStart("COPY sink FROM STDIN (FORMAT binary)")
                silence()
                while true { try await connection.copyInSend([UInt8](repeating: 0, count: 1 << 20)) }
            }
        case .fenceRow, .silentFence: break
        case .hangingDriver: try await Self.hangInDriver(source, reached)
        case .waitBeforeRetry:
            try await context.retrying("test.wait") {
                reached.fire()
                throw TallyError(.serverBusy, during: "test.wait", "busy", retryAfter: .seconds(600))
            }
        case .poolOfOthers:
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<target.maxConnections {
                    group.addTask { try await target.withConnection { _ in try await Task.sleep(for: .seconds(600)) } }
                }
                reached.fire()
                try await group.next()
            }
        }
    }

    private static func hangInDriver(_ source: MongoStandIn, _ reached: TestSignal) async throws {
        source.script(StandInFault(.neverAnswer, on: ["find"], times: .max))
        let pool = try MongoPool(MongoSettings(url: Secret(source.url), applicationName: "tallyman-test"))
        try await pool.withSession { session in
            reached.fire()
            _ = try await session.findAll(MongoFind(collection: "products"))
        }
    }

    /// Somebody's transaction holds the job's fence row for as long as the target lives.
    private static func occupyFence(_ target: PGPool) async throws -> PGConnection {
        let connection = try await PGConnection.connect(target.settings)
        try await connection.execute("INSERT INTO etl.fences (job, fence) VALUES ('scripted', 0)")
        try await connection.begin()
        try await connection.execute("UPDATE etl.fences SET touched_at = now()")
        return connection
    }
}
