import Foundation
import HTTPClient
import Marketplaces
import Postgres
import Runtime
import Synchronization
import TestKit
import Testing

/// Access tokens, renewed, rotated, revoked.
@Suite struct TokenTests {
    private final class Keeper: TokenKeeping {
        let kept = Mutex<[String: String]>([:])
        let fails: Bool
        init(fails: Bool = false) { self.fails = fails }
        func load(_ name: String) async throws -> Secret<String>? { kept.withLock { $0[name].map { Secret($0) } } }
        func store(_ name: String, _ token: Secret<String>) async throws {
            if fails { throw TallyError(.targetUnreachable, during: "test", "no database") }
            token.expose { text in kept.withLock { $0[name] = text } }
        }
    }

    private static func grant(_ refresh: String?) throws -> TokenGrant {
        TokenGrant(
            name: "amazon:A1",
            url: try #require(URL(string: "https://api.amazon.com/auth/o2/token")),
            clientID: "client",
            clientSecret: Secret("hush"),
            refreshToken: refresh.map { Secret($0) },
            remedy: "Authorise again."
        )
    }

    private static func answer(_ token: String, refresh: String? = nil, life: Int = 3_600) -> RecordedExchange {
        let next = refresh.map { ",\"refresh_token\":\"\($0)\"" } ?? ""
        return RecordedExchange(
            request: .init(method: "POST", path: "/auth/o2/token"),
            response: .init(status: 200, body: "{\"access_token\":\"\(token)\",\"expires_in\":\(life)\(next)}")
        )
    }

    private func text(_ secret: Secret<String>) -> String { secret.expose { $0 } }

    @Test func aTokenIsRenewedFiveMinutesBeforeItExpires() async throws {
        let clock = Watched(Date(timeIntervalSince1970: 1_000_000))
        let transport = RecordedTransport([Self.answer("one"), Self.answer("two")])
        let tokens = GrantedTokens(
            grant: try Self.grant("r"),
            transport: transport,
            keeper: nil,
            now: { clock.value }
        )
        #expect(text(try await tokens.token(refused: false)) == "one")
        clock.change { $0 += 3_299 }
        #expect(text(try await tokens.token(refused: false)) == "one")
        clock.change { $0 += 2 }
        #expect(text(try await tokens.token(refused: false)) == "two")
        #expect(transport.unused == 0)
        let form = String(decoding: transport.requests[0].body ?? [], as: UTF8.self)
        #expect(form == "client_id=client&client_secret=hush&grant_type=refresh_token&refresh_token=r")
    }

    @Test func clientCredentialsSendNoRefreshToken() async throws {
        let transport = RecordedTransport([Self.answer("one", life: 86_399)])
        let tokens = GrantedTokens(grant: try Self.grant(nil), transport: transport, keeper: nil)
        _ = try await tokens.token(refused: false)
        let form = String(decoding: transport.requests[0].body ?? [], as: UTF8.self)
        #expect(form == "client_id=client&client_secret=hush&grant_type=client_credentials")
    }

    @Test func aRotatedRefreshTokenIsStoredBeforeTheNewTokenIsUsed() async throws {
        let keeper = Keeper()
        let transport = RecordedTransport([Self.answer("one", refresh: "r2"), Self.answer("two", refresh: "r3")])
        let tokens = GrantedTokens(grant: try Self.grant("r1"), transport: transport, keeper: keeper)
        _ = try await tokens.token(refused: false)
        #expect(keeper.kept.withLock { $0 } == ["amazon:A1": "r2"])
        _ = try await tokens.token(refused: true)
        #expect(String(decoding: transport.requests[1].body ?? [], as: UTF8.self).hasSuffix("refresh_token=r2"))
        #expect(keeper.kept.withLock { $0 } == ["amazon:A1": "r3"])

        let broken = GrantedTokens(
            grant: try Self.grant("r1"),
            transport: RecordedTransport([Self.answer("one", refresh: "r2")]),
            keeper: Keeper(fails: true)
        )
        await #expect(throws: TallyError.self, "what cannot be kept is not used") {
            try await broken.token(refused: false)
        }
        let homeless = GrantedTokens(
            grant: try Self.grant("r1"),
            transport: RecordedTransport([Self.answer("one", refresh: "r2")]),
            keeper: nil
        )
        await #expect { try await homeless.token(refused: false) } throws: {
            ($0 as? TallyError)?.remedy?.contains("TOKEN_KEY") == true
        }
    }

    @Test(arguments: [(400, "invalid_grant", "revoked"), (401, "invalid_client", "client id")])
    func aRevokedGrantHaltsWithWhatToDo(status: Int, code: String, words: String) async throws {
        let refusal = RecordedExchange(
            request: .init(method: "POST", path: "/auth/o2/token"),
            response: .init(status: status, body: "{\"error\":\"\(code)\"}")
        )
        let tokens = GrantedTokens(grant: try Self.grant("r"), transport: RecordedTransport([refusal]), keeper: nil)
        await #expect { try await tokens.token(refused: false) } throws: {
            let error = $0 as? TallyError
            return error?.kind == .credentialsRejected && error?.remedy == "Authorise again."
                && error?.summary.contains(words) == true
        }
    }

    @Test func storedTokensAreSealedWithTheKeyAndTheirName() async throws {
        let bench = try await PullBench()
        let key = Secret(Data((0..<32).map { UInt8($0) }).base64EncodedString())
        let vault = try #require(TokenVault(key: key, pool: bench.pool))
        try await vault.store("shopify:a", Secret("shprt_refresh"))
        #expect(text(try #require(try await vault.load("shopify:a"))) == "shprt_refresh")
        #expect(try await vault.load("shopify:b") == nil)
        #expect(try bench.psql("SELECT position('refresh' IN encode(sealed, 'escape')) FROM marketplace.tokens") == "0")
        _ = try bench.psql("UPDATE marketplace.tokens SET name = 'shopify:b'")
        await #expect(throws: TallyError.self, "a row under another name does not open") {
            _ = try await vault.load("shopify:b")
        }
        let other = Secret(String(repeating: "ab", count: 32))
        let stranger = try #require(TokenVault(key: other, pool: bench.pool))
        await #expect { _ = try await stranger.load("shopify:b") } throws: {
            ($0 as? TallyError)?.remedy?.contains("TOKEN_KEY") == true
        }
        #expect(TokenVault(key: Secret("short"), pool: bench.pool) == nil)
        await bench.pool.close()
    }
}
