import Foundation
import Runtime
import TestKit
import Testing

/// INV-8: clients that only take hold nothing up. The rig with its numbers is `bin/bench.d/attack`.
@Suite struct AttackTests {
    private static let each = 40

    @Test func aSyncAndItsProbesDoNotFeelSlowClients() async throws {
        let shop = try Shop(products: 20_000)
        let daemon = try await RunningDaemon(
            shop.settings([
                "HTTP_HEAD_SECONDS_MAX": "4", "HTTP_BODY_SECONDS_MAX": "4", "HTTP_WRITE_SECONDS_MAX": "4",
                "HTTP_IDLE_SECONDS_MAX": "4",
            ])
        )
        let token = try await RunningDaemon.token()
        var slow: [RawClient] = []
        for _ in 0..<Self.each {
            let head = try RawClient(port: daemon.port)
            head.send("GET /live HTTP/1.1\r\nHost: loc")
            let body = try RawClient(port: daemon.port)
            body.send(
                "POST /api/etl/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
                    + "Content-Type: application/json\r\n\r\n{\"dry"
            )
            slow += [head, body]
        }
        var deaf: [RawClient] = []
        for _ in 0..<Self.each {
            let client = try RawClient(port: daemon.port, reads: false)
            client.send(String(repeating: "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n", count: 20))
            deaf.append(client)
        }
        let sync = try await daemon.send("POST", "/api/etl/sync", token: token, fields: ["Prefer": "respond-async"])
        let run = try #require(sync.json["runId"]?.string)
        var isOver = false
        while !isOver {
            #expect(try await daemon.send("GET", "/live").status == 200)
            let shown = try await daemon.send("GET", "/api/etl/runs/\(run)", token: token).json["run"]
            isOver = !["queued", "running"].contains(shown?["state"]?.string ?? "")
            if isOver { #expect(shown?["state"] == "succeeded") }
        }
        // Each slow one is told so at its deadline; those that never read are gone by then too.
        for client in slow { #expect(try await client.waitForEnd().hasPrefix("HTTP/1.1 408 ")) }
        try await expectAllGone(daemon)
        for client in deaf { client.close() }
        try await daemon.stop()
    }

    /// Only the connection that asks is left.
    private func expectAllGone(_ daemon: RunningDaemon) async throws {
        let end = ContinuousClock.now + .seconds(40)
        var line = ""
        while ContinuousClock.now < end {
            let page = try await daemon.send("GET", "/metrics").text
            line = page.split(separator: "\n").first { $0.hasPrefix("http_connections ") }.map(String.init) ?? ""
            if line == "http_connections 1" || line == "http_connections 1.0" { return }
        }
        Issue.record("somebody outlived the deadline: \(line)")
    }
}
