import Analytics
import Foundation
import Runtime
import Testing

@Suite struct TokenTests {
    private static let tokeniser = Tokeniser(TokenKey(version: 1, secret: Secret("key")))

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
        ("usr_1_0a", true), ("tok-9f", true), ("jane@example.org", false), ("+49 151 2000", false),
        ("4111111111111111", false), ("Jane Doe", false), ("", false), ("abc", false),
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
        // sha256 of "usr_1_abc" by sha256sum.
        #expect(
            try PersonErasure.account(ofToken: "usr_1_abc")
                == "e87164e58497f5ff2649678734e38f82343d2b364f5d64215ae084b553f39c69"
        )
        #expect(throws: TallyError.self) { try PersonErasure.account(ofToken: "jane@example.org") }
    }
}
