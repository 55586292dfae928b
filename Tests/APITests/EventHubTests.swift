import Foundation
import Runtime
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
