import Foundation
import HTTPClient
import Runtime
import TestKit
import Testing

/// The real client against raw bytes on a socket.
@Suite struct URLSessionTransportTests {
    static let limits = ExchangeLimits(idle: .seconds(5), total: .seconds(8), bodyMax: 1 << 20)
    let transport = URLSessionTransport(userAgent: "tallyman-test")

    private func kind(
        _ limits: ExchangeLimits,
        _ request: OutboundRequest
    ) async -> TallyError.Kind? {
        do {
            _ = try await transport.send(request, limits: limits)
            return nil
        } catch {
            return (error as? TallyError)?.kind
        }
    }

    @Test func anAnswerComesBackWithStatusHeadersAndBody() async throws {
        let server = try RawServer { peer in
            let head = peer.readHead().lowercased()
            let right = head.contains("x-token: abc") && head.contains("user-agent: tallyman-test")
            peer.write("HTTP/1.1 \(right ? 429 : 400) Slow\r\nRetry-After: 2\r\nContent-Length: 4\r\n\r\nwait")
        }
        let request = OutboundRequest(.get, try server.url("/a?b=c"), secretHeaders: ["X-Token": Secret("abc")])
        let answer = try await transport.send(request, limits: Self.limits)
        #expect(answer.status == 429)
        #expect(answer.retryAfter(now: Date()) == .seconds(2))
        #expect(String(decoding: answer.body, as: UTF8.self) == "wait")
    }

    @Test func gzipIsDecoded() async throws {
        // gzip of "hello hello hello hello"
        let packed = try #require(Data(base64Encoded: "H4sIAAAAAAAC/8tIzcnJV8hAJwHjUT2NFwAAAA=="))
        let server = try RawServer { peer in
            _ = peer.readHead()
            peer.write("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: \(packed.count)\r\n\r\n")
            peer.write(Array(packed))
        }
        let answer = try await transport.send(OutboundRequest(.get, try server.url()), limits: Self.limits)
        #expect(String(decoding: answer.body, as: UTF8.self) == "hello hello hello hello")
    }

    @Test func aDrippingBodyMeetsTheTotalDeadline() async throws {
        let server = try RawServer { peer in
            _ = peer.readHead()
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            while peer.write("x") { peer.pause(milliseconds: 50) }
        }
        var limits = Self.limits
        limits.total = .seconds(1)
        // Each byte comes within the idle limit, for more than a year: only the total one can end it.
        #expect(await kind(limits, OutboundRequest(.get, try server.url())) == .deadlineExceeded)
    }

    @Test func silenceMeetsTheIdleTimeout() async throws {
        let server = try RawServer { peer in
            _ = peer.readHead()
            _ = peer.waitForClose()
        }
        var limits = Self.limits
        limits.idle = .seconds(1)
        #expect(await kind(limits, OutboundRequest(.get, try server.url())) == .deadlineExceeded)
    }

    @Test func aTruncatedBodyIsNoAnswer() async throws {
        let server = try RawServer { peer in
            _ = peer.readHead()
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
        }
        #expect(await kind(Self.limits, OutboundRequest(.get, try server.url())) == .sourceUnreachable)
    }

    @Test func aTruncatedChunkedBodyIsNoAnswer() async throws {
        let server = try RawServer { peer in
            _ = peer.readHead()
            peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        }
        #expect(await kind(Self.limits, OutboundRequest(.get, try server.url())) == .sourceUnreachable)
    }

    @Test func aClosedPortIsUnreachable() async throws {
        let (descriptor, port) = try RawSockets.listen()
        close(descriptor)
        let url = try #require(URL(string: "http://127.0.0.1:\(port)/"))
        #expect(await kind(Self.limits, OutboundRequest(.get, url)) == .sourceUnreachable)
    }

    @Test func aRedirectToAnotherHostIsRefused() async throws {
        let other = try RawServer { peer in
            _ = peer.readHead()
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstole")
        }
        let server = try RawServer { peer in
            _ = peer.readHead()
            peer.write("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:\(other.port)/\r\nContent-Length: 0\r\n\r\n")
        }
        #expect(await kind(Self.limits, OutboundRequest(.get, try server.url())) == .permissionDenied)
    }

    @Test func aRedirectWithinTheHostIsFollowed() async throws {
        let server = try RawServer { peer in
            if peer.readHead().hasPrefix("GET /new ") {
                peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            } else {
                peer.write(
                    "HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
            }
        }
        let answer = try await transport.send(OutboundRequest(.get, try server.url("/old")), limits: Self.limits)
        #expect(String(decoding: answer.body, as: UTF8.self) == "ok")
    }

    @Test func aBodyBeyondItsCeilingIsRefused() async throws {
        let server = try RawServer { peer in
            _ = peer.readHead()
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n")
            let block = [UInt8](repeating: 120, count: 65_536)
            while peer.write(block) {}
        }
        #expect(await kind(Self.limits, OutboundRequest(.get, try server.url())) == .limitExceeded)
    }

    @Test func cancellingClosesTheConnection() async throws {
        let asked = TestSignal()
        let closed = Watched<Bool?>(nil)
        let server = try RawServer { peer in
            _ = peer.readHead()
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
            asked.fire()
            let gone = peer.waitForClose()
            closed.change { $0 = gone }
        }
        let request = OutboundRequest(.get, try server.url())
        let transport = transport
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                do {
                    _ = try await transport.send(request, limits: Self.limits)
                    return false
                } catch { return error is CancellationError }
            }
            await asked.wait()
            group.cancelAll()
            #expect(await group.next() == true, "the caller sees a cancellation")
        }
        #expect(closed.waitBlocking(within: .seconds(5)) { $0 == true }, "the server sees the connection close")
    }

    @Test func aDownloadGoesToDisk() async throws {
        let size = 3_000_000
        let server = try RawServer { peer in
            _ = peer.readHead()
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
            let block = [UInt8](repeating: 97, count: 100_000)
            for _ in 0..<(size / 100_000) { peer.write(block) }
        }
        let file = FileManager.default.temporaryDirectory.appending(path: TestTag.fresh("download"))
        defer { try? FileManager.default.removeItem(at: file) }
        var limits = Self.limits
        limits.bodyMax = size
        let answer = try await transport.download(OutboundRequest(.get, try server.url()), to: file, limits: limits)
        #expect(answer.status == 200 && answer.body.isEmpty)
        #expect(try Data(contentsOf: file).count == size)
        limits.bodyMax = size / 2
        do {
            _ = try await transport.download(OutboundRequest(.get, try server.url()), to: file, limits: limits)
            Issue.record("a download beyond its ceiling was accepted")
        } catch let error as TallyError {
            #expect(error.kind == .limitExceeded)
        }
    }

    @Test func nothingSecretIsPrinted() throws {
        let url = try #require(URL(string: "https://files.example/part?X-Amz-Signature=s3cret"))
        let request = OutboundRequest(.post, url, secretHeaders: ["a": Secret("s3cret")], body: Array("s3cret".utf8))
        for text in ["\(request)", String(reflecting: request), "\([request])", "\(Mirror(reflecting: request))"] {
            #expect(!text.contains("s3cret"), "\(text)")
        }
    }

    @Test func aRecordingAnswersInOrderAndRefusesWhatItDoesNotKnow() async throws {
        let recorded = try RecordedTransport(
            json: Data(
                """
                [{"request": {"method": "GET", "path": "/one", "contains": ["a=1"]},
                  "response": {"status": 200, "body": "first"}}]
                """.utf8
            )
        )
        let url = try #require(URL(string: "https://host.example/one?a=1"))
        let answer = try await recorded.send(OutboundRequest(.get, url))
        #expect(String(decoding: answer.body, as: UTF8.self) == "first")
        await #expect(throws: TallyError.self) { try await recorded.send(OutboundRequest(.get, url)) }
    }
}
