import HTTPServer
import HTTPTypes
import Runtime
import TestKit
import Testing

/// Answers made while they are sent.
@Suite struct StreamTests {
    private struct Broken: Error {}

    /// What the producers below tell their test.
    private struct Signals: Sendable {
        let started = TestSignal()
        let ended = TestSignal()
    }

    private static func router(_ signals: Signals) -> Router {
        Router.sample { router in
            func stream(_ path: String, isEndless: Bool = false, _ produce: @escaping Produce) {
                router.on(.get, path) { _, _ in
                    ServerResponse(status: .ok, body: .stream(ResponseStream(isEndless: isEndless, produce)))
                }
            }
            stream("/pieces") { write in
                for piece in ["one ", "", "two ", "three"] { try await write(Array(piece.utf8)) }
            }
            stream("/broken") { write in
                try await write(Array("one".utf8))
                throw Broken()
            }
            stream("/silent", isEndless: true) { write in
                defer { signals.ended.fire() }
                try await write(Array("begun".utf8))
                signals.started.fire()
                _ = try await BoundedChannel<Void>(capacity: 1).receive()
            }
            stream("/flood", isEndless: true) { write in
                defer { signals.ended.fire() }
                let piece = [UInt8](repeating: 65, count: 65_536)
                signals.started.fire()
                while true { try await write(piece) }
            }
            router.on(.get, "/sequence") { _, _ in
                let pieces = AsyncStream<[UInt8]> { continuation in
                    for number in 1...3 { continuation.yield(Array("\(number),".utf8)) }
                    continuation.finish()
                }
                return ServerResponse(status: .ok, body: .stream(ResponseStream(pieces)))
            }
        }
    }
    private typealias Produce = @Sendable (ResponseStream.Write) async throws -> Void

    @Test func piecesAreChunksAndTheConnectionGoesOn() async throws {
        try await TestServer.run(Self.router(Signals())) { server in
            let client = try server.client()
            client.send(get("/pieces") + get("/sequence") + get("/hello"))
            try await client.wait(for: "hello")
            let text = client.heard.value.text
            #expect(text.contains("Transfer-Encoding: chunked\r\n"))
            #expect(text.contains("\r\n\r\n4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\nHTTP/1.1 200"))
            #expect(text.contains("\r\n\r\n2\r\n1,\r\n2\r\n2,\r\n2\r\n3,\r\n0\r\n\r\n"))
        }
    }

    @Test func anOlderClientGetsItUntilTheEnd() async throws {
        try await TestServer.run(Self.router(Signals())) { server in
            let text = try await server.exchange("GET /pieces HTTP/1.0\r\n\r\n")
            #expect(text.hasSuffix("\r\n\r\none two three"))
            #expect(!text.contains("Transfer-Encoding"))
            let head = try await server.exchange("HEAD /silent HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            #expect(head.hasSuffix("\r\n\r\n"))
        }
    }

    @Test func aPeerThatEndedItsSideGetsABodyWithAnEndWhole() async throws {
        try await TestServer.run(Self.router(Signals())) { server in
            let client = try server.client()
            client.send(get("/pieces"))
            client.finishWriting()
            #expect(try await client.waitForEnd().hasSuffix("5\r\nthree\r\n0\r\n\r\n"))
        }
    }

    @Test func aProducerThatFailsLeavesTheBodyWithoutItsEnd() async throws {
        try await TestServer.run(Self.router(Signals())) { server in
            let text = try await server.exchange(get("/broken"))
            #expect(text.hasSuffix("3\r\none\r\n"))
        }
    }

    @Test(arguments: [true, false])
    func aClientThatLeavesCancelsTheProducer(byReset: Bool) async throws {
        let signals = Signals()
        try await TestServer.run(Self.router(signals)) { server in
            let client = try server.client()
            client.send(get("/silent"))
            try await client.wait(for: "begun")
            if byReset { client.reset() } else { client.close() }
            await signals.ended.wait()
        }
    }

    @Test func aClientThatStopsReadingIsDropped() async throws {
        let signals = Signals()
        try await TestServer.run(Self.router(signals), { $0.writeTimeout = .milliseconds(100) }) { server in
            let client = try server.client(reads: false)
            client.send(get("/flood"))
            await signals.ended.wait()
        }
    }

    /// INV-8: what is made for a client goes no further than what it takes; by itself the kernel keeps megabytes of it.
    @Test func ofAClientThatNeverReadsTheKernelKeepsLittle() async throws {
        let ended = TestSignal()
        let taken = Watched(0)
        let router = Router.sample { router in
            router.on(.get, "/flood") { _, _ in
                let body = ResponseStream(isEndless: true) { write in
                    defer { ended.fire() }
                    while true {
                        try await write([UInt8](repeating: 65, count: 8_192))
                        taken.change { $0 += 8_192 }
                    }
                }
                return ServerResponse(status: .ok, body: .stream(body))
            }
        }
        try await TestServer.run(router, { $0.writeTimeout = .milliseconds(200) }) { server in
            let client = try server.client(reads: false)
            client.send(get("/flood"))
            await ended.wait()
            #expect((8_192...300_000).contains(taken.value), "\(taken.value) bytes")
        }
    }

    /// SIGPIPE would end the test process.
    @Test func aClientThatLeavesInTheMiddleHarmsNobody() async throws {
        let signals = Signals()
        try await TestServer.run(Self.router(signals)) { server in
            for count in 1...5 {
                let client = try server.client(reads: false)
                client.send(get("/flood"))
                await signals.started.wait(count: count)
                client.reset()
            }
            await signals.ended.wait(count: 5)
            let client = try server.client()
            client.send(get("/hello"))
            try await client.wait(for: "hello")
        }
    }

    @Test func whatAClientSendsDuringAStreamIsTheNextRequest() async throws {
        let go = TestSignal()
        let started = TestSignal()
        let router = Router.sample { router in
            router.on(.get, "/wait") { _, _ in
                ServerResponse(
                    status: .ok,
                    body: .stream(
                        ResponseStream { write in
                            try await write(Array("begun".utf8))
                            started.fire()
                            await go.wait()
                        }
                    )
                )
            }
        }
        try await TestServer.run(router) { server in
            let client = try server.client()
            client.send(get("/wait"))
            await started.wait()
            client.send(get("/items/1"))
            go.fire()
            try await client.wait(for: "item 1")
        }
    }

    @Test func aGracefulStopEndsAnEndlessStreamWhole() async throws {
        let signals = Signals()
        try await TestServer.run(Self.router(signals)) { server in
            let client = try server.client()
            client.send(get("/silent"))
            await signals.started.wait()
            await server.stop()
            let text = try await client.waitForEnd()
            #expect(text.hasSuffix("5\r\nbegun\r\n0\r\n\r\n"))
            await signals.ended.wait()
        }
    }

    @Test func atTheCapAStreamMakesRoomWhereNobodyWaits() async throws {
        let signals = Signals()
        try await TestServer.run(Self.router(signals), { $0.connectionsMax = 1 }) { server in
            let client = try server.client()
            client.send(get("/silent"))
            await signals.started.wait()
            let probe = try server.client()
            probe.send(get("/hello"))
            try await probe.wait(for: "hello")
            await signals.ended.wait()
        }
    }
}
