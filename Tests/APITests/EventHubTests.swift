import Foundation
import Runtime
import Synchronization
import Testing

@testable import API
@testable import Engine

/// Everybody who watches is told, nobody holds anybody up.
@Suite struct EventHubTests {
    private static func record(_ state: RunState = .running) -> RunRecord { Fixture.record(state) }

    @Test func aWatcherIsToldUntilTheRunEnds() async throws {
        let hub = EventHub()
        let id = Self.record().id
        try await hub.watching(id, lastEventID: nil) { missed, news in
            #expect(missed?.isEmpty == true)
            hub.publish(Self.record(), progress: nil)
            hub.publish(Self.record(.succeeded), progress: nil)
            let first = try await news.receive()
            let second = try await news.receive()
            #expect(first?.body["state"] == "running" && first?.isFinal == false)
            #expect(second?.body["state"] == "succeeded" && second?.isFinal == true)
        }
        #expect(hub.watcherCount == 0)
    }

    @Test func whoComesBackIsToldWhatWasMissed() async throws {
        let hub = EventHub()
        var last = ""
        try await hub.watching(nil, lastEventID: nil) { _, news in
            hub.publish(Self.record(), progress: nil)
            last = try await news.receive()?.id ?? ""
        }
        hub.publish(Self.record(.succeeded), progress: nil)
        try await hub.watching(nil, lastEventID: last) { missed, _ in
            #expect(missed?.map { $0.body["state"]?.string } == ["succeeded"])
        }
        try await hub.watching(nil, lastEventID: "another-epoch-7") { missed, _ in
            #expect(missed == nil, "unknown: look at the whole again")
        }
    }

    @Test func aSlowWatcherKeepsTheNewest() async throws {
        let hub = EventHub()
        try await hub.watching(nil, lastEventID: nil) { _, news in
            for _ in 0..<500 { hub.publish(Self.record(), progress: nil) }
            hub.publish(Self.record(.failed), progress: nil)
            var states: [String] = []
            for _ in 0..<64 { states.append(try await news.receive()?.body["state"]?.string ?? "") }
            #expect(states.last == "failed")
        }
    }

    @Test func tooManyAreRefused() async throws {
        let hub = EventHub()
        try await withThrowingTaskGroup(of: Void.self) { group in
            let release = TestSignal()
            for _ in 0..<EventHub.watchersMax {
                group.addTask { try await hub.watching(nil, lastEventID: nil) { _, _ in await release.wait() } }
            }
            while hub.watcherCount < EventHub.watchersMax { await Task.yield() }
            await #expect(throws: TallyError.self) { try await hub.watching(nil, lastEventID: nil) { _, _ in } }
            release.fire()
            try await group.waitForAll()
        }
    }

    /// Runs the hub over a ledger while somebody watches; `body` is lent the news.
    private static func watch(
        _ runs: FakeRuns,
        _ body: @Sendable @escaping (BoundedChannel<RunEvent>) async throws -> Void
    ) async throws {
        let hub = EventHub(interval: .milliseconds(1))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await hub.run(runs) }
            try await hub.watching(nil, lastEventID: nil) { _, news in try await body(news) }
            group.cancelAll()
        }
    }

    private static func next(_ news: BoundedChannel<RunEvent>) async throws -> RunEvent? {
        try await withDeadline(.seconds(20), during: "test") { try await news.receive() }
    }

    /// Stamps are made before their transaction commits: an older one may appear after a newer one was read.
    @Test func whatCommitsLateIsToldAndNothingTwice() async throws {
        let runs = FakeRuns()
        let late = RunID()
        runs.willEnd(with: Self.record(.running))
        try await Self.watch(runs) { news in
            #expect(try await Self.next(news)?.run == Fixture.id)
            let stamp = Fixture.start.addingTimeInterval(-0.5)
            runs.willEnd(with: Fixture.record(.succeeded, id: late, heartbeat: stamp))
            #expect(try await Self.next(news)?.run == late)
            let asked = runs.state.withLock { $0.questions }
            while runs.state.withLock({ $0.questions }) < asked + 3 { await Task.yield() }
            runs.willEnd(with: Fixture.record(.succeeded, heartbeat: Fixture.start.addingTimeInterval(60)))
            let next = try await Self.next(news)
            #expect(next?.run == Fixture.id && next?.isFinal == true, "nothing was told twice in between")
        }
    }

    /// A ledger that was away for a while has not made anybody miss the end of a run.
    @Test func whatChangedWhileTheLedgerWasAwayIsToldAfterwards() async throws {
        let runs = FakeRuns()
        runs.willEnd(with: Self.record(.running))
        try await Self.watch(runs) { news in
            let first = try await Self.next(news)
            #expect(first?.isFinal == false)
            let end = Fixture.start.addingTimeInterval(10)
            runs.state.withLock {
                $0.silences = 3
                // By the time it answers again, its clock is far past the end.
                $0.now = Fixture.start.addingTimeInterval(600)
            }
            runs.willEnd(with: Fixture.record(.succeeded, heartbeat: end))
            let last = try await Self.next(news)
            #expect(last?.isFinal == true)
        }
    }

    /// Silence would look like no news: all streams end, none begins, and the hub finds out by itself when it is over.
    @Test func aLedgerThatStaysAwayEndsAllStreams() async throws {
        let hub = EventHub(interval: .milliseconds(1), patience: .milliseconds(5))
        let runs = FakeRuns()
        runs.state.withLock { $0.silences = .max }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await hub.run(runs) }
            try await hub.watching(nil, lastEventID: nil) { _, news in
                let last = try await Self.next(news)
                #expect(last == nil, "the end, and no news")
            }
            #expect(hub.outage?.kind == .targetUnreachable)
            #expect(throws: TallyError.self) {
                try EventStream(hub: hub).response(run: nil, lastEventID: nil) { [] }
            }
            runs.state.withLock { $0.silences = 0 }
            try await withDeadline(.seconds(20), during: "test") { while hub.outage != nil { await Task.yield() } }
            _ = try EventStream(hub: hub).response(run: nil, lastEventID: nil) { [] }
            group.cancelAll()
        }
    }

    @Test func theLedgerIsAskedOnlyWhileSomebodyWatches() async throws {
        let hub = EventHub(interval: .milliseconds(1))
        let runs = FakeRuns()
        runs.willEnd(with: Self.record(.succeeded))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await hub.run(runs) }
            try await hub.watching(nil, lastEventID: nil) { _, news in
                let event = try await news.receive()
                #expect(event?.body["state"] == "succeeded")
            }
            group.cancelAll()
        }
    }
}
