import Foundation
import Runtime
import TestKit
import Testing

/// Who may do what, asked of the real daemon over real sockets.
@Suite struct AccessTests {
    private static let previous = "the-key-before-this-one-0123456789"

    private static func cookie(_ token: String) -> [String: String] {
        ["Cookie": "theme=dark; session=" + Data("{\"jwt\":\"\(token)\"}".utf8).base64EncodedString()]
    }

    @Test func tokensAreReadAsTheSettingsSay() async throws {
        let shop = try Shop(products: 1)
        let daemon = try await RunningDaemon(
            shop.settings(["JWT_KEY_PREVIOUS": Self.previous, "JWT_ISSUER": "us", "JWT_AUDIENCE": "etl"])
        )
        func status(_ token: String) async throws -> Int {
            try await daemon.send("GET", "/api/etl/runs", token: token).status
        }
        let now = Date().timeIntervalSince1970
        #expect(try await status(RunningDaemon.token(iss: "us", aud: ["shop", "etl"])) == 200)
        #expect(try await status(RunningDaemon.token(key: Self.previous, iss: "us", aud: ["etl"])) == 200)
        #expect(
            try await status(RunningDaemon.token(key: "somebody else's key, long enough", iss: "us", aud: ["etl"]))
                == 401
        )
        #expect(try await status(RunningDaemon.token(iss: "them", aud: ["etl"])) == 401)
        #expect(try await status(RunningDaemon.token(iss: "us", aud: ["shop"])) == 401)
        #expect(try await status(RunningDaemon.token(exp: now - 1, iss: "us", aud: ["etl"])) == 401)
        #expect(try await status(RunningDaemon.token(exp: nil, iat: now, iss: "us", aud: ["etl"])) == 401)
        #expect(try await status(RunningDaemon.token("etl:write", iss: "us", aud: ["etl"])) == 403)
        #expect(try await daemon.send("GET", "/live").status == 200)
        let made = try TallymanBinary.run(
            ["token", "--scope", "etl:read"],
            ["JWT_KEY": RunningDaemon.key, "JWT_ISSUER": "us", "JWT_AUDIENCE": "etl"]
        )
        #expect(try await status(made.outputText.trimmingCharacters(in: .whitespacesAndNewlines)) == 200)
        try await daemon.stop()
    }

    /// Whoever watches has no more rights than the token: the stream ends when it does, by the daemon's own word.
    @Test func aStreamOfEventsEndsWithItsToken() async throws {
        let shop = try Shop(products: 1)
        let daemon = try await RunningDaemon(shop.settings())
        let token = try await RunningDaemon.token("etl:read", exp: Date().timeIntervalSince1970 + 3)
        let client = try RawClient(port: daemon.port)
        client.send(
            "GET /api/etl/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \(token)\r\nConnection: close\r\n\r\n"
        )
        let stream = try await client.waitForEnd()
        #expect(stream.hasPrefix("HTTP/1.1 200 ") && stream.contains("retry: 2000"), "\(stream.prefix(200))")
        #expect(stream.hasSuffix("\r\n0\r\n\r\n"), "ended whole")
        client.close()
        try await daemon.stop()
    }

    /// The session of the service replaced: reads freely, writes from its own pages only, administers never.
    @Test func theSessionCookieIsBoundToItsOwnSite() async throws {
        let shop = try Shop(products: 1)
        let daemon = try await RunningDaemon(shop.settings(["JWT_COOKIE_MAX_AGE": "600"]))
        let now = Date().timeIntervalSince1970
        let session = Self.cookie(try await RunningDaemon.token(nil, exp: nil, iat: now - 60))
        func status(_ method: String, _ path: String, _ more: [String: String] = [:]) async throws -> Int {
            try await daemon.send(method, path, fields: session.merging(more) { $1 }).status
        }
        #expect(try await status("GET", "/api/etl/runs") == 200)
        let stop = "/api/etl/scheduler/stop"
        #expect(try await status("POST", stop) == 403, "nothing says where it comes from")
        #expect(try await status("POST", stop, ["Origin": "https://evil.example"]) == 403)
        #expect(try await status("POST", stop, ["Origin": "null"]) == 403)
        #expect(try await status("POST", stop, ["Sec-Fetch-Site": "cross-site"]) == 403)
        #expect(try await status("POST", stop, ["Sec-Fetch-Site": "same-site"]) == 403)
        #expect(try await status("POST", stop, ["Origin": "http://localhost:\(daemon.port)"]) == 200)
        #expect(try await status("POST", stop, ["Sec-Fetch-Site": "same-origin"]) == 200)
        #expect(try await status("POST", "/api/etl/config/reload", ["Sec-Fetch-Site": "same-origin"]) == 403)
        #expect(try await status("GET", "/api/etl/validate") == 403, "it starts a run")
        let old = Self.cookie(try await RunningDaemon.token(nil, exp: nil, iat: now - 700))
        #expect(try await daemon.send("GET", "/api/etl/runs", fields: old).status == 401)
        try await daemon.stop()
    }

    @Test func withoutAKeyOnlyThisMachineIsServed() async throws {
        let shop = try Shop(products: 1)
        let open = try await RunningDaemon(shop.settings(["JWT_KEY": "", "HOST": ""]))
        func status(_ method: String, _ path: String, _ fields: [String: String]) async throws -> Int {
            try await open.send(method, path, fields: fields).status
        }
        for host in ["localhost:\(open.port)", "127.0.0.1", "[::1]:\(open.port)", "LOCALHOST"] {
            #expect(try await status("GET", "/api/etl/runs", ["Host": host]) == 200, "\(host)")
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]"] {
            #expect(try await status("GET", "/api/etl/runs", ["Host": host]) == 421, "\(host)")
            #expect(try await status("GET", "/live", ["Host": host]) == 421, "\(host)")
        }
        let stop = "/api/etl/scheduler/stop"
        #expect(try await status("POST", stop, [:]) == 200)
        #expect(try await status("POST", stop, ["Origin": "http://evil.example"]) == 403)
        #expect(try await status("POST", stop, ["Sec-Fetch-Site": "cross-site"]) == 403)
        #expect(try await status("GET", "/api/etl/validate", ["Sec-Fetch-Site": "cross-site"]) == 403)
        try await open.stop()
        for host in ["0.0.0.0", "::", "192.168.1.5"] {
            let refused = try TallymanBinary.run(["serve"], shop.settings(["JWT_KEY": "", "HOST": host]))
            #expect(refused.exit == .code(2), "\(host)")
            #expect(refused.errorText.contains("HOST must be a loopback address while JWT_KEY is not set"))
        }
    }

    /// One line for each request, with its route; whatever the client sent besides is in no line.
    @Test func noSecretReachesTheLog() async throws {
        let shop = try Shop(products: 1)
        let metrics = "PLANTED-metrics-token"
        let daemon = try await RunningDaemon(shop.settings(["LOG_LEVEL": "trace", "METRICS_TOKEN": metrics]))
        let token = try await RunningDaemon.token()
        let planted = "PLANTED-5f2c"
        let paths = [
            "/api/etl/runs?job=\(planted)", "/api/etl/runs/\(planted)", "/\(planted)", "/live?token=\(planted)",
            "/api/etl/watermarks/\(planted)/a/b/c", "/api/etl/jobs?\(planted)=1",
        ]
        for path in paths {
            let fields = ["X-\(planted)": planted, "Cookie": "session=\(planted)", "X-Request-Id": "visible-id"]
            _ = try await daemon.send("GET", path, token: token, fields: fields)
            _ = try await daemon.send("GET", path, token: planted, fields: ["Referer": "http://x/\(planted)"])
        }
        _ = try await daemon.send("POST", "/api/etl/sync", token: token, body: "{\"\(planted)\": \"\(planted)\"}")
        _ = try await daemon.send("PUT", "/api/etl/watermarks/cart/a/b/c", token: token, body: "\"\(planted)")
        #expect(try await daemon.send("GET", "/metrics", token: metrics).status == 200)
        let open = try await daemon.send("GET", "/metrics", token: planted)
        #expect(open.status == 401)
        try RawClient(port: daemon.port).send("GET /\(planted) HTTP/9.9\r\n\(planted)\r\n\r\n")
        try await daemon.stop()
        let lines = daemon.log.split(separator: "\n")
        #expect(!daemon.log.contains("PLANTED"), "a secret, a path or a query of a client is in the log")
        #expect(!daemon.log.contains(token) && !daemon.log.contains(RunningDaemon.key))
        let answered = lines.filter { $0.contains("\"request answered\"") }
        #expect(answered.count { $0.contains("\"visible-id\"") } == paths.count, "one line for each request")
        #expect(answered.contains { $0.contains("/api/etl/watermarks/{database}/{source}/{table}/{account}") })
    }
}
