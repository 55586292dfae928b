import API
import Foundation
import JWTKit
import Runtime
import Testing

@Suite struct TokenPolicyTests {
    private static let now = 1_800_000_000.0
    private let policy = TokenPolicy(issuer: nil, audience: nil, cookieAgeMaxSeconds: 86_400)

    private func claims(
        exp: Double? = now + 60,
        nbf: Double? = nil,
        iat: Double? = nil,
        iss: String? = nil,
        aud: [String] = [],
        scope: String? = "etl:read"
    ) -> AccessClaims {
        AccessClaims(sub: "ada", exp: exp, nbf: nbf, iat: iat, iss: iss, aud: aud, scope: scope)
    }

    @Test func aBearerTokenCarriesItsScopesAndNoOthers() throws {
        let caller = try policy.caller(claims(scope: "etl:write other etl:read"), carrier: .bearer, now: Self.now)
        #expect(caller.name == "ada" && caller.scopes == [.read, .write])
        #expect((caller.expires?.timeIntervalSince1970 ?? 0) > Self.now, "known to streams, which outlive a request")
        #expect(try policy.caller(claims(scope: nil), carrier: .bearer, now: Self.now).scopes.isEmpty)
        #expect(try policy.caller(claims(scope: "ETL:READ,etl:read"), carrier: .bearer, now: Self.now).scopes.isEmpty)
    }

    @Test func timesAreKept() {
        #expect(throws: TokenPolicy.Refusal.expired) {
            try policy.caller(claims(exp: Self.now), carrier: .bearer, now: Self.now)
        }
        #expect(throws: TokenPolicy.Refusal.expiryMissing) {
            try policy.caller(claims(exp: nil, iat: Self.now), carrier: .bearer, now: Self.now)
        }
        #expect(throws: TokenPolicy.Refusal.notYetValid) {
            try policy.caller(claims(nbf: Self.now + 31), carrier: .bearer, now: Self.now)
        }
        for time in [Double.infinity, .nan, 1e30] {
            #expect(throws: TokenPolicy.Refusal.numberInvalid) {
                try policy.caller(claims(exp: time), carrier: .bearer, now: Self.now)
            }
        }
    }

    @Test func issuerAndAudienceBindWhenConfigured() throws {
        let strict = TokenPolicy(issuer: "us", audience: "etl", cookieAgeMaxSeconds: 60)
        #expect(throws: TokenPolicy.Refusal.issuer) {
            try strict.caller(claims(iss: "them", aud: ["etl"]), carrier: .bearer, now: Self.now)
        }
        #expect(throws: TokenPolicy.Refusal.audience) {
            try strict.caller(claims(iss: "us", aud: ["shop"]), carrier: .bearer, now: Self.now)
        }
        _ = try strict.caller(claims(iss: "us", aud: ["shop", "etl"]), carrier: .bearer, now: Self.now)
    }

    @Test func aCookieMayLackExpiryAndScopesButNeverAdministers() throws {
        let plain = claims(exp: nil, iat: Self.now - 86_400, scope: nil)
        #expect(try policy.caller(plain, carrier: .cookie, now: Self.now).scopes == [.read, .write])
        let admin = claims(scope: "etl:admin etl:read")
        #expect(try policy.caller(admin, carrier: .cookie, now: Self.now).scopes == [.read])
        #expect(throws: TokenPolicy.Refusal.tooOld) {
            try policy.caller(claims(exp: nil, iat: Self.now - 86_401), carrier: .cookie, now: Self.now)
        }
        #expect(throws: TokenPolicy.Refusal.notYetValid) {
            try policy.caller(claims(exp: nil, iat: Self.now + 3600), carrier: .cookie, now: Self.now)
        }
        #expect(throws: TokenPolicy.Refusal.expiryMissing) {
            try policy.caller(claims(exp: nil), carrier: .cookie, now: Self.now)
        }
    }
}

@Suite struct TokenVerifierTests {
    private static let key = Secret("0123456789abcdef0123456789abcdef")
    private let claims = AccessClaims(sub: "ada", exp: 2_000_000_000, scope: "etl:read")

    private func signed(_ key: Secret<String> = key) async throws -> String {
        try #require(try await TokenVerifier(keys: [key]).sign(claims))
    }

    @Test func ownTokensAreReadWithTheCurrentKeyAndThePreviousOne() async throws {
        let token = try await signed()
        let rotated = await TokenVerifier(keys: [Secret("another key, another key, another!"), Self.key])
        #expect(try await rotated.claims(of: token) == claims)
        let gone = await TokenVerifier(keys: [Secret("another key, another key, another!")])
        await #expect(throws: TokenVerifier.Untrusted()) { try await gone.claims(of: token) }
    }

    /// RFC 7515 A.1 uses a long key; a short one must sign alike, or old tokens would stop working.
    @Test func aShortKeySignsLikeAnywhereElse() async throws {
        // Made with Python: hmac.new(b"asdf", b"<header>.<payload>", "sha256").
        let token =
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpZCI6IjEiLCJlbWFpbCI6ImFAYi5jIiwiaWF0IjoxNzAwMDAwMDAwfQ"
            + ".5GRXx4lslUoOae_Yl49jGEnAO45UlbSrMEbvrLSzdwM"
        let read = try await TokenVerifier(keys: [Secret("asdf")]).claims(of: token)
        #expect(read.sub == "1")
        #expect(read.iat == 1_700_000_000)
    }

    @Test func whatWeDidNotSignIsRefused() async throws {
        let token = try await signed()
        let parts = token.split(separator: ".").map(String.init)
        let none = "eyJhbGciOiJub25lIn0"
        let hs512 = try await JWTKeyCollection().add(
            hmac: HMACKey(from: String(repeating: "0123456789abcdef", count: 4)),
            digestAlgorithm: .sha512
        ).sign(claims)
        let verifier = await TokenVerifier(keys: [Self.key, Secret(String(repeating: "0123456789abcdef", count: 4))])
        let bad = [
            "", ".", "..", "a.b", "a.b.c", "\(parts[0]).\(parts[1])", "\(parts[0]).\(parts[1]).",
            "\(none).\(parts[1]).", "\(none).\(parts[1]).\(parts[2])", String(token.dropLast(2)), token + "AA",
            "\(parts[0]).\(parts[0]).\(parts[2])", "\(token).\(parts[2])", hs512,
            String(repeating: "a", count: TokenText.bytesMax + 1),
        ]
        for token in bad {
            await #expect(throws: TokenVerifier.Untrusted(), "\(token.prefix(40))") {
                try await verifier.claims(of: token)
            }
        }
    }
}

@Suite struct SessionCookieTests {
    @Test func theTokenIsFoundAmongOtherCookies() {
        // {"jwt":"abc"} in base64, with and without padding, plain and percent-encoded.
        #expect(SessionCookie.token(in: "session=eyJqd3QiOiJhYmMifQ==") == "abc")
        #expect(SessionCookie.token(in: "a=b; session=eyJqd3QiOiJhYmMifQ; c=d") == "abc")
        #expect(SessionCookie.token(in: "session=eyJqd3QiOiJhYmMifQ%3D%3D") == "abc")
    }

    @Test(arguments: [
        "", "session", "session=", "session=!!", "xsession=eyJqd3QiOiJhYmMifQ", "session=e30", "session=WzFd",
    ])
    func anythingElseIsNoToken(field: String) {
        #expect(SessionCookie.token(in: field) == nil)
    }
}
