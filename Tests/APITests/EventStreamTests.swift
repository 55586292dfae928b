import Foundation
import HTTPServer
import Runtime
import Synchronization
import Testing

@testable import API
@testable import Engine

/// What a browser reads of a stream of events.
@Suite struct EventStreamTests {
    /// Keeps what is written; leaves, as a client does, when a text holds what it waits for.
    private final class Reader: Sendable {
        struct Left: Error {}
        private let text = Mutex("")
        private let leaves: String?

        init(leavingAfter leaves: String? = nil) { self.leaves = leaves }

        var heard: String { text.withLock { $0 } }

        func take(_ bytes: [UInt8]) throws {
            let isOver = text.withLock { text in
                text += String(decoding: bytes, as: UTF8.self)
                return leaves.map { text.contains($0) } ?? false
            }
            if isOver { throw Left() }
        }

        func read(_ response: ServerResponse) async throws {
            guard case .stream(let body) = response.body else { return }
            do {
                try await body.produce { try self.take($0) }
            } catch is Left {
                return
            }
        }
    }

    /// A stream that a fault keeps open is left after its first comment, so that the test fails instead of hanging.
    private static func stream(_ hub: EventHub) -> EventStream { EventStream(hub: hub, heartbeat: .seconds(3)) }
    private static let comment = "\n\n: \n\n"

    private static func row(_ state: RunState) -> JSONValue { RunAnswer.run(Fixture.record(state), progress: nil) }

    /// The id of an event that was told while somebody watched.
    private static func told(_ hub: EventHub, _ state: RunState) async throws -> String {
        var id = ""
        try await hub.watching(nil, lastEventID: nil) { _, news in
            hub.publish(Fixture.record(state), progress: nil)
            id = try await news.receive()?.id ?? ""
        }
        return id
    }

    @Test func aRunIsTreatedAsNewsUntilItsEnd() async throws {
        let (hub, reader) = (EventHub(), Reader(leavingAfter: Self.comment))
        let response = try Self.stream(hub).response(run: Fixture.id, lastEventID: nil) {
            hub.publish(Fixture.record(.succeeded), progress: nil)
            return [Self.row(.running)]
        }
        try await reader.read(response)
        let events = reader.heard.components(separatedBy: "\n\n")
        #expect(events.first == "retry: 2000")
        #expect(events.map { $0.prefix { $0 != "\n" } }.filter { $0.hasPrefix("event: ") } == ["event: run"])
        #expect(events.dropFirst(2).first?.hasPrefix("id: ") == true, "news has an id to come back with")
        #expect(events.dropFirst(3).first?.contains("event: end\ndata: {") == true)
        #expect(hub.watcherCount == 0)
    }

    /// The end came while nobody was connected: it is among what was missed.
    @Test func whoComesBackAfterTheEndIsToldOfIt() async throws {
        let (hub, reader) = (EventHub(), Reader(leavingAfter: Self.comment))
        let last = try await Self.told(hub, .running)
        hub.publish(Fixture.record(.succeeded), progress: nil)
        let response = try Self.stream(hub).response(run: Fixture.id, lastEventID: last) { [Self.row(.succeeded)] }
        try await reader.read(response)
        #expect(reader.heard.ranges(of: "event: run\n").count == 1)
        #expect(reader.heard.ranges(of: "event: end\n").count == 1)
        #expect(reader.heard.contains("\"state\":\"succeeded\""))
    }

    /// The end was the last that was read; no news will come any more.
    @Test func whoHasSeenTheEndIsToldOfItAgain() async throws {
        let (hub, reader) = (EventHub(), Reader(leavingAfter: Self.comment))
        let last = try await Self.told(hub, .failed)
        let response = try Self.stream(hub).response(run: Fixture.id, lastEventID: last) { [Self.row(.failed)] }
        try await reader.read(response)
        #expect(!reader.heard.contains("event: run\n"))
        #expect(reader.heard.ranges(of: "event: end\n").count == 1)
    }

    @Test func whoseLastEventIsUnknownLooksAtTheWholeAgain() async throws {
        let reader = Reader(leavingAfter: "event: run\n")
        let response = try EventStream(hub: EventHub()).response(run: nil, lastEventID: "another-1") {
            [Self.row(.running)]
        }
        try await reader.read(response)
        #expect(reader.heard.contains("\"state\":\"running\""))
    }

    @Test func silenceIsBrokenByAComment() async throws {
        let reader = Reader(leavingAfter: ": \n\n: \n\n")
        var stream = EventStream(hub: EventHub())
        #expect(stream.heartbeat == .seconds(15))
        stream.heartbeat = .milliseconds(1)
        try await reader.read(try stream.response(run: nil, lastEventID: nil) { [] })
        #expect(reader.heard == "retry: 2000\n\n: \n\n: \n\n")
    }

    @Test func theEndOfItsTokenEndsAStream() async throws {
        let reader = Reader()
        let now = Date()
        try await reader.read(try EventStream(hub: EventHub()).response(run: nil, lastEventID: nil, until: now) { [] })
        #expect(reader.heard == "retry: 2000\n\n")
    }
}
