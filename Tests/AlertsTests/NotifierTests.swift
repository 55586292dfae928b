import Alerts
import Engine
import Foundation
import Logging
import Postgres
import Runtime
import TestKit
import Testing

/// A sink that records, and fails as often as it is told.
private final class RecordingSink: AlertSink {
    let name = "recording"
    let taken = Watched<[Alert]>([])
    let tries = Watched(0)
    private let failures: Int
    private let error: TallyError

    init(failures: Int = 0, error: TallyError = TallyError(.sourceUnreachable, during: "test", "away")) {
        self.failures = failures
        self.error = error
    }

    func deliver(_ alert: Alert) async throws {
        let number = tries.change { tries in
            tries += 1
            return tries
        }
        if number <= failures { throw error }
        taken.change { $0.append(alert) }
    }
}

/// A sink that never answers.
private struct HangingSink: AlertSink {
    let name = "hanging"
    var reached = TestSignal()
    func deliver(_ alert: Alert) async throws {
        reached.fire()
        try await Task.sleep(for: .seconds(3_600))
    }
}

@Suite(.serialized, .timeLimit(.minutes(2))) struct NotifierTests {
    private func pool() async throws -> PGPool {
        let url = try TestPostgres.shared().freshDatabase()
        let pool = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 3)
        _ = try await pool.withConnection { try await EngineMigrations.migrator().up($0) }
        return pool
    }

    private func notifier(
        _ pool: PGPool,
        _ sinks: [any AlertSink],
        repeatAfter: Int? = nil,
        attemptLimit: Duration = .milliseconds(200),
        openLetters: @escaping @Sendable () async throws -> [JobName: Int] = { [:] }
    ) -> Notifier {
        Notifier(
            policy: AlertPolicy(),
            store: NoticeStore(state: pool, repeatAfter: repeatAfter),
            sinks: sinks,
            openLetters: openLetters,
            attemptLimit: attemptLimit,
            pause: .zero,
            logger: Logger(label: "test")
        )
    }

    /// Runs the notifier until `done` holds for the sink's alerts.
    private func run(_ notifier: Notifier, until done: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do { try await notifier.run() } catch is CancellationError {}
            }
            try await done()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    @Test func replicasTellOnceAndRemember() async throws {
        let pool = try await pool()
        let first = RecordingSink()
        let second = RecordingSink()
        let (one, two) = (notifier(pool, [first]), notifier(pool, [second]))
        one.offer(AlertPolicyTests.ending(.failed))
        try await run(one) { try await first.taken.wait { $0.count == 1 } }
        two.offer(AlertPolicyTests.ending(.failed))
        two.offer(AlertPolicyTests.ending(.succeeded))
        try await run(two) { try await second.taken.wait { !$0.isEmpty } }
        #expect(second.taken.value.map(\.severity) == [.recovery], "the failure was known to the other replica")
        await pool.close()
    }

    @Test func aTransientFaultIsTriedAgainAndALastingOneIsToldWithTheNextRun() async throws {
        let pool = try await pool()
        let flaky = RecordingSink(failures: 2)
        let one = notifier(pool, [flaky])
        one.offer(AlertPolicyTests.ending(.failed))
        try await run(one) { try await flaky.taken.wait { $0.count == 1 } }
        #expect(flaky.tries.value == 3)

        let dead = RecordingSink(failures: 3, error: TallyError(.permissionDenied, during: "test", "no"))
        let other = notifier(pool, [dead])
        other.offer(AlertPolicyTests.ending(.succeeded))
        other.offer(AlertPolicyTests.ending(.succeeded))
        other.offer(AlertPolicyTests.ending(.succeeded))
        other.offer(AlertPolicyTests.ending(.succeeded))
        try await run(other) { try await dead.taken.wait { $0.count == 1 } }
        #expect(dead.tries.value == 4, "a refusal is not tried again at once, and not forgotten either")
        #expect(dead.taken.value.first?.severity == .recovery)
        await pool.close()
    }

    @Test func aDeadChannelHoldsUpNeitherRunsNorOtherChannels() async throws {
        let pool = try await pool()
        let good = RecordingSink()
        let both = notifier(pool, [HangingSink(), good])
        both.offer(AlertPolicyTests.ending(.failed))
        // Offering never waits, also when the queue is full: this loop ends although nobody delivers.
        for _ in 0..<1_000 { both.offer(AlertPolicyTests.ending(.failed)) }
        try await run(both) { try await good.taken.wait { $0.count == 1 } }
        await pool.close()
    }

    /// A daemon that stops while it tells has told nobody: the next run's end tells it.
    @Test func anAlertThatAShutdownCutOffIsToldWithTheNextRun() async throws {
        let pool = try await pool()
        let hanging = HangingSink()
        let stopping = notifier(pool, [hanging], attemptLimit: .seconds(600))
        stopping.offer(AlertPolicyTests.ending(.failed))
        try await run(stopping) { await hanging.reached.wait() }
        let sink = RecordingSink()
        let next = notifier(pool, [sink])
        next.offer(AlertPolicyTests.ending(.failed))
        next.offer(AlertPolicyTests.ending(.failed))
        next.offer(AlertPolicyTests.ending(.succeeded))
        try await run(next) { try await sink.taken.wait { $0.last?.severity == .recovery } }
        #expect(sink.taken.value.map(\.severity) == [.problem, .recovery], "told, and told once")
        await pool.close()
    }

    /// A run that refused nothing may just not have read again what waits.
    @Test func theEndOfDeadLettersIsToldWhenNoneIsOpen() async throws {
        let pool = try await pool()
        let sink = RecordingSink()
        let asked = Watched(0)
        let one = notifier(pool, [sink]) {
            switch asked.change({ number in
                number += 1
                return number
            }) {
            case 1: ["product_sync": 1, "retail": 4]
            case 2: throw TallyError(.targetUnreachable, during: "test", "away")
            default: ["retail": 4]
            }
        }
        one.offer(AlertPolicyTests.ending(.partial, letters: 2))
        for _ in 1...3 { one.offer(AlertPolicyTests.ending(.succeeded)) }
        try await run(one) { try await sink.taken.wait { $0.last?.severity == .recovery } }
        #expect(
            sink.taken.value.map(\.title) == [
                "product_sync left 2 dead letters", "product_sync has no dead letters any more",
            ]
        )
        #expect(asked.value == 3, "told by the count that found none, not by one that found some or failed")
        await pool.close()
    }

    @Test func aStateThatLastsIsRepeated() async throws {
        let pool = try await pool()
        let sink = RecordingSink()
        let one = notifier(pool, [sink], repeatAfter: 0)
        one.offer(AlertPolicyTests.ending(.failed))
        one.offer(AlertPolicyTests.ending(.failed))
        try await run(one) { try await sink.taken.wait { $0.count == 2 } }
        #expect(sink.taken.value.last?.title.hasPrefix("still: ") == true)
        await pool.close()
    }

    @Test func problemsAreToldWhileTheStateDatabaseIsAway() async throws {
        let gone = PGPool(
            PGSettings(url: Secret("postgresql://nobody@127.0.0.1:1/none"), applicationName: "tallyman-test"),
            maxConnections: 1
        )
        let sink = RecordingSink()
        let one = notifier(gone, [sink])
        one.offer(AlertPolicyTests.ending(.failed))
        try await run(one) { try await sink.taken.wait { $0.count == 1 } }
        await gone.close()
    }
}
