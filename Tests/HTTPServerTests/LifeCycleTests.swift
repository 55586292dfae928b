import HTTPServer
import HTTPTypes
import HTTPWire
import Logging
import Runtime
import Telemetry
import TestKit
import Testing

/// Deadlines, the cap on connections, and the stop.
@Suite struct LifeCycleTests {
    @Test func aSlowHeadAndASlowBodyAreAnswered408() async throws {
        let change: (inout HTTPServerConfiguration) -> Void = {
            // A client that has said nothing by then is closed without a word: a busy machine must let it begin.
            $0.headTimeout = .seconds(1)
            $0.bodyTimeout = .milliseconds(80)
        }
        try await TestServer.run(Router.sample(), change) { server in
            let head = try await server.exchange("GET /hello HTTP/1.1\r\nHost: a")
            #expect(head.hasPrefix("HTTP/1.1 408 "))
            #expect(head.contains("Connection: close\r\n"))
            let body = try await server.exchange("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
            #expect(body.hasPrefix("HTTP/1.1 408 "))
            let chunked = try await server.exchange(
                "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab"
            )
            #expect(chunked.hasPrefix("HTTP/1.1 408 "))
        }
    }

    @Test func anIdleConnectionIsClosedWithoutAWord() async throws {
        try await TestServer.run(Router.sample(), { $0.idleTimeout = .milliseconds(80) }) { server in
            let text = try await server.exchange(get("/hello"))
            #expect(text.hasSuffix("hello"))
            #expect(text.ranges(of: "HTTP/1.1").count == 1)
        }
    }

    @Test func aRequestThatEndsInTheMiddleIsAnswered400() async throws {
        try await TestServer.run { server in
            for text in ["GET /hello HTT", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"] {
                let client = try server.client()
                client.send(text)
                client.finishWriting()
                #expect(try await client.waitForEnd().hasPrefix("HTTP/1.1 400 "))
            }
        }
    }

    /// INV-8: the cap is never an outage for probes, whoever holds the connections.
    @Test func atTheCapTheOneThatWaitedLongestMakesRoom() async throws {
        try await TestServer.run(Router.sample(), { $0.connectionsMax = 3 }) { server in
            let (idle, slowHead, slowBody) = (try server.client(), try server.client(), try server.client())
            idle.send(get("/hello"))
            try await idle.wait(for: "hello")
            slowHead.send(get("/hello") + "GET /hel")
            try await slowHead.wait(for: "hello")
            slowBody.send(get("/hello") + "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
            try await slowBody.wait(for: "hello")
            var probes: [RawClient] = []
            for count in 1...3 {
                let probe = try server.client()
                probes.append(probe)
                probe.send(get("/hello"))
                try await probe.wait(for: "hello")
                #expect(server.metrics.value("http_connections_evicted_total") == Double(count))
                switch count {
                case 1: #expect(try await idle.waitForEnd().ranges(of: "HTTP/1.1").count == 1)
                case 2: #expect(try await slowHead.waitForEnd().contains("HTTP/1.1 408 "))
                default: #expect(try await slowBody.waitForEnd().contains("HTTP/1.1 408 "))
                }
            }
        }
    }

    @Test func aRunningHandlerIsNeverClosedToMakeRoom() async throws {
        let (started, go) = (TestSignal(), TestSignal())
        let router = Router.sample { router in
            router.on(.get, "/slow") { _, _ in
                started.fire()
                await go.wait()
                return .text("slow")
            }
        }
        try await TestServer.run(router, { $0.connectionsMax = 1 }) { server in
            let busy = try server.client()
            busy.send(get("/slow"))
            await started.wait()
            let next = try server.client()
            next.send(get("/hello"))
            go.fire()
            try await busy.wait(for: "slow")
            try await next.wait(for: "hello")
        }
    }

    @Test func aLateHandlerIsAnsweredForAndCancelled() async throws {
        let ended = TestSignal()
        let router = Router.sample { router in
            let slow: Router.Handler = { _, _ in
                defer { ended.fire() }
                // Until it is cancelled: its own end must not come before the limit, however busy the machine is.
                try await Self.never()
                return .text("never")
            }
            router.on(.get, "/slow", handler: slow)
            router.on(.get, "/long", options: RouteOptions(longRunning: true)) { _, _ in
                try? await withDeadline(.milliseconds(120), during: "test") { try await Self.never() }
                return .text("at last")
            }
        }
        try await TestServer.run(router, { $0.handlerTimeout = .milliseconds(60) }) { server in
            let text = try await server.exchange(get("/slow"))
            #expect(text.hasPrefix("HTTP/1.1 503 "))
            #expect(text.contains("Connection: close\r\n"))
            await ended.wait()
            #expect(server.metrics.prometheusText().contains(#"method="GET",route="/slow",status="503""#))
            let long = try server.client()
            long.send(get("/long"))
            try await long.wait(for: "at last")
        }
    }

    @Test func aGracefulStopClosesIdleOnesAndFinishesRunningOnes() async throws {
        let (started, go) = (TestSignal(), TestSignal())
        let router = Router.sample { router in
            router.on(.get, "/slow") { _, _ in
                started.fire()
                await go.wait()
                return .text("slow")
            }
        }
        try await TestServer.run(router) { server in
            let (idle, busy) = (try server.client(), try server.client())
            idle.send(get("/hello"))
            try await idle.wait(for: "hello")
            busy.send(get("/slow") + get("/hello"))
            await started.wait()
            await server.stop()
            _ = try await idle.waitForEnd()
            #expect(throws: TestServiceMissing.self) { try server.client() }
            #expect(!busy.heard.value.isEnded)
            go.fire()
            let text = try await busy.waitForEnd()
            #expect(text.hasSuffix("slow"))
            #expect(text.contains("Connection: close\r\n"))
        }
    }

    @Test func theDeadlineOfAStopCancelsWhatStillRuns() async throws {
        let (started, cancelled) = (TestSignal(), TestSignal())
        let router = Router.sample { router in
            router.on(.get, "/slow", options: RouteOptions(longRunning: true)) { _, _ in
                started.fire()
                defer { cancelled.fire() }
                try await Self.never()
                return .text("never")
            }
        }
        try await TestServer.run(router, stopWithin: .milliseconds(80)) { server in
            let client = try server.client()
            client.send(get("/slow"))
            await started.wait()
            await server.stop()
            await cancelled.wait()
            _ = try await client.waitForEnd()
        }
    }

    @Test func aClientThatTakesNothingOfItsAnswerIsDropped() async throws {
        let started = TestSignal()
        let router = Router.sample { router in
            router.on(.get, "/large") { _, _ in
                started.fire()
                return ServerResponse(status: .ok, body: .bytes([UInt8](repeating: 65, count: 32 << 20)))
            }
        }
        let begin = ContinuousClock.now
        let client = Watched<RawClient?>(nil)
        // A stop waits for the answers under way, so this one must have ended by itself.
        let change: (inout HTTPServerConfiguration) -> Void = { $0.writeTimeout = .milliseconds(100) }
        try await TestServer.run(router, stopWithin: .seconds(300), change) { server in
            let slow = try server.client(reads: false)
            client.change { $0 = slow }
            slow.send(get("/large"))
            await started.wait()
        }
        #expect(ContinuousClock.now - begin < .seconds(150))
        client.value?.close()
    }

    @Test func anAddressThatIsTakenIsASettingsError() async throws {
        try await TestServer.run { server in
            let failure = await #expect(throws: TallyError.self) {
                try await Server(
                    configuration: HTTPServerConfiguration(host: "127.0.0.1", port: server.port),
                    router: Router(),
                    logger: .init(label: "test")
                ).run()
            }
            #expect(failure?.kind == .settingsInvalid)
        }
    }

    /// Ends only by cancellation.
    private static func never() async throws {
        _ = try await BoundedChannel<Void>(capacity: 1).receive()
    }
}
