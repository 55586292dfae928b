import API
import Foundation
import HTTPTypes
import Runtime
import Testing

@Suite struct GateTests {
    private static let now = 1_800_000_000.0
    private static let key = Secret("0123456789abcdef0123456789abcdef")

    private func gate(keyed: Bool = true, metricsToken: String? = nil) async -> Gate {
        await Gate(
            AccessSettings(keys: keyed ? [Self.key] : [], metricsToken: metricsToken.map { Secret($0) }),
            secondsNow: { Self.now }
        )
    }

    private func token(scope: String?, exp: Double? = now + 60, iat: Double? = now) async throws -> String {
        let claims = AccessClaims(sub: "ada", exp: exp, iat: iat, scope: scope)
        return try #require(try await TokenVerifier(keys: [Self.key]).sign(claims))
    }

    private func status(
        _ gate: Gate,
        _ headers: HTTPFields,
        _ level: AccessLevel,
        changes: Bool = false,
        host: String? = "localhost"
    ) async -> Int {
        do {
            _ = try await gate.admit(headers, host: host, level: level, changes: changes)
            return 200
        } catch {
            return Problem.from(error).status
        }
    }

    @Test func scopesOpenWhatTheyName() async throws {
        let gate = await gate()
        let read: HTTPFields = [.authorization: "Bearer \(try await token(scope: "etl:read"))"]
        let write: HTTPFields = [.authorization: "bearer \(try await token(scope: "etl:read etl:write"))"]
        #expect(await status(gate, read, .read) == 200)
        #expect(await status(gate, read, .write, changes: true) == 403)
        #expect(await status(gate, write, .write, changes: true) == 200)
        #expect(await status(gate, write, .admin, changes: true) == 403)
        #expect(await status(gate, [:], .read) == 401)
        #expect(await status(gate, [:], .open) == 200)
        #expect(await status(gate, [:], .metrics) == 200)
    }

    @Test func badTokensAre401WithAChallenge() async throws {
        let gate = await gate()
        let expired = try await token(scope: "etl:read", exp: Self.now - 1)
        for value in ["Bearer", "Bearer x", "Basic YTpi", "Bearer \(expired)", "Bearer \(expired.dropLast(3))"] {
            await #expect(throws: Problem.self) {
                do {
                    _ = try await gate.admit([.authorization: value], host: nil, level: .read, changes: false)
                } catch let problem as Problem {
                    #expect(problem.status == 401)
                    #expect(problem.headers["WWW-Authenticate"]?.hasPrefix("Bearer") == true)
                    throw problem
                }
            }
        }
    }

    @Test func aCookieWritesOnlyFromItsOwnSite() async throws {
        let gate = await gate()
        let token = try await token(scope: nil, exp: nil)
        let cookie = "session=" + Data("{\"jwt\":\"\(token)\"}".utf8).base64EncodedString()
        var headers: HTTPFields = [.cookie: cookie]
        #expect(await status(gate, headers, .read) == 200)
        #expect(await status(gate, headers, .write, changes: true) == 403, "no word about its origin")
        headers[.origin] = "http://evil.example"
        #expect(await status(gate, headers, .write, changes: true) == 403)
        headers[.origin] = "http://localhost"
        #expect(await status(gate, headers, .write, changes: true) == 200)
        #expect(await status(gate, headers, .admin, changes: true) == 403)
    }

    @Test func withoutAKeyOnlyLoopbackAndOnlyItsOwnPages() async throws {
        let gate = await gate(keyed: false)
        #expect(throws: Problem.self) { try gate.checkHost("evil.example:4000") }
        try gate.checkHost("localhost:4000")
        #expect(await status(gate, [:], .write, changes: true) == 200)
        #expect(await status(gate, [.origin: "http://evil.example"], .write, changes: true) == 403)
        #expect(await status(gate, [.origin: "http://evil.example"], .read) == 200)
    }

    @Test func theMetricsTokenClosesMetrics() async {
        let gate = await gate(metricsToken: "m")
        #expect(await status(gate, [:], .metrics) == 401)
        #expect(await status(gate, [.authorization: "Bearer x"], .metrics) == 401)
        #expect(await status(gate, [.authorization: "Bearer m"], .metrics) == 200)
    }
}
