import Analytics
import Foundation
import Runtime
import Testing

@Suite struct TokenTests {
    private static let tokeniser = Tokeniser(TokenKey(version: 1, secret: Secret("key")))

    private static let code = String(repeating: "0123456789abcdef", count: 4)

    private static func token(_ text: String, _ tokeniser: Tokeniser = tokeniser) -> String {
        String(decoding: tokeniser.token(Array(text.utf8)), as: UTF8.self)
    }

    /// The well-known example of HMAC-SHA-256 with the key "key".
    @Test func aTokenIsTheHMACOfTheIdentifier() {
        #expect(
            Self.token("The quick brown fox jumps over the lazy dog")
                == "usr_1_f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
        )
    }

    @Test func whatMeansTheSameHasTheSameToken() {
        #expect(Self.token(" 42\n") == Self.token("42"))
        #expect(Self.token("Ren\u{E9}") == Self.token("Rene\u{301}"))
        #expect(Self.token("42") != Self.token("43"))
        #expect(Self.token("4 2") != Self.token("42"))
    }

    @Test func keysAndVersionsGiveOtherTokens() {
        let next = Tokeniser(TokenKey(version: 2, secret: Secret("other")))
        #expect(Self.token("42", next).hasPrefix("usr_2_"))
        #expect(Self.token("42", next).dropFirst(6) != Self.token("42").dropFirst(6))
    }

    /// Only what cannot be personal data passes for a token of the source.
    @Test(arguments: [
        ("usr_1_" + code, true), ("usr_9999_" + code, true), ("usr_1_0a", false), ("tok-9f", false),
        ("usr_0_" + code, false), ("usr_01_" + code, false), ("usr_10000_" + code, false), ("usr_x_" + code, false),
        ("usr_1_" + code.uppercased(), false), ("usr_1_" + code + "0", false), ("usr__" + code, false),
        ("jane@example.org", false), ("+49 151 2000", false), ("4111111111111111", false), ("Jane Doe", false),
        ("JaneDoe", false), ("DE89370400440532013000", false), ("", false), ("abc", false),
    ])
    func tokensOfTheSourceStay(value: String, stays: Bool) {
        let admitted = String(decoding: Self.tokeniser.admitted(Array(value.utf8)), as: UTF8.self)
        #expect((admitted == value) == stays)
        #expect(stays || admitted.hasPrefix("usr_1_"))
    }

    @Test func aKeyCannotBePrinted() {
        let key = TokenKey(version: 1, secret: Secret("do-not-show-me"))
        for text in ["\(key)", String(reflecting: key)] { #expect(!text.contains("do-not-show-me")) }
    }

    @Test func personsAreNamedByTheDigestOfTheirToken() throws {
        // sha256 of the token by sha256sum.
        #expect(
            try PersonErasure.account(ofToken: "usr_1_" + Self.code)
                == "70eff2bc6b813334ca6e8673241ec1c292076be9c4ac87bc4a124d2a5f13e567"
        )
        for none in ["jane@example.org", "usr_1_abc", "JaneDoe"] {
            #expect(throws: TallyError.self) { try PersonErasure.account(ofToken: none) }
        }
    }

    /// No run makes a token of a key that is not configured; what v2 tables hold is the source's.
    @Test func aTokenOfAnUnknownKeyIsRefused() throws {
        func settings(v1: Bool) -> AnalyticsSettings {
            AnalyticsSettings(
                zone: .gmt,
                lookbackDays: 3,
                churnDays: 30,
                readsV1: v1,
                isLegacy: false,
                key: TokenKey(version: 3, secret: Secret("k")),
                previousKey: TokenKey(version: 2, secret: Secret("p"))
            )
        }
        for version in [2, 3] {
            let account = try PersonErasure.account(
                ofToken: "usr_\(version)_" + Self.code,
                settings: settings(v1: true)
            )
            #expect(account.utf8.count == 64)
        }
        let error = #expect(throws: TallyError.self) {
            try PersonErasure.account(ofToken: "usr_1_" + Self.code, settings: settings(v1: true))
        }
        #expect(error?.summary.contains("key version 1, which is not configured") == true)
        #expect(throws: Never.self) {
            try PersonErasure.account(ofToken: "usr_1_" + Self.code, settings: settings(v1: false))
        }
    }
}
