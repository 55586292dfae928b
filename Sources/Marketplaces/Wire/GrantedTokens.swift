import Crypto
package import Foundation
package import HTTPClient
package import Runtime

/// How a vendor grants access tokens.
package struct TokenGrant: Sendable {
    /// Names what is stored, such as `amazon:A1B2C3`.
    package let name: String
    package let url: URL
    package let clientID: String
    package let clientSecret: Secret<String>
    /// nil for client credentials.
    package let refreshToken: Secret<String>?
    /// What an operator does when the vendor has revoked the grant.
    package let remedy: String

    package init(
        name: String,
        url: URL,
        clientID: String,
        clientSecret: Secret<String>,
        refreshToken: Secret<String>?,
        remedy: String
    ) {
        self.name = name
        self.url = url
        self.clientID = clientID
        self.clientSecret = clientSecret
        self.refreshToken = refreshToken
        self.remedy = remedy
    }
}

extension TokenGrant {
    /// A name under which what was rotated from exactly this token is kept: a token that an operator sets anew is not
    /// shadowed by a stored one.
    static func name(_ owner: String, _ token: Secret<String>) -> String {
        let digest = token.expose { SHA256.hash(data: Array($0.utf8)) }.prefix(6)
        return owner + ":" + digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }
}

/// Where a rotated refresh token is kept.
package protocol TokenKeeping: Sendable {
    func load(_ name: String) async throws -> Secret<String>?
    func store(_ name: String, _ token: Secret<String>) async throws
}

/// Access tokens by OAuth 2: client credentials or a refresh token, renewed five minutes before they expire.
///
/// A refresh token that the vendor rotates is stored before the access token beside it is used: a crash in between
/// loses neither. Callers that come while a token is being renewed wait for that one renewal.
package actor GrantedTokens: AccessTokens {
    private let grant: TokenGrant
    private let transport: any HTTPTransport
    private let keeper: (any TokenKeeping)?
    private let now: @Sendable () -> Date
    private var current: (token: Secret<String>, expires: Date)?
    private var isRenewing = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    package init(
        grant: TokenGrant,
        transport: any HTTPTransport,
        keeper: (any TokenKeeping)?,
        now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.grant = grant
        self.transport = transport
        self.keeper = keeper
        self.now = now
    }

    /// Throws `.credentialsRejected` with the exact thing to do when the grant was revoked.
    package func token(refused: Bool) async throws -> Secret<String> {
        var mustRenew = refused
        while true {
            if !mustRenew, let current, now().addingTimeInterval(300) < current.expires { return current.token }
            guard isRenewing else { break }
            await withCheckedContinuation { waiting.append($0) }
            mustRenew = false
        }
        isRenewing = true
        defer {
            isRenewing = false
            for waiter in waiting { waiter.resume() }
            waiting = []
        }
        let renewed = try await renew()
        current = renewed
        return renewed.token
    }

    private func renew() async throws -> (token: Secret<String>, expires: Date) {
        let stored = try await keeper?.load(grant.name)
        let refresh = stored ?? grant.refreshToken
        let asked = now()
        let answer = try await ask(refresh)
        guard let token = answer["access_token"].string, !token.isEmpty else {
            throw TallyError(.sourceUnreachable, during: "token.renew", "the token endpoint answers without a token")
        }
        if let rotated = answer["refresh_token"].string, refresh?.expose({ $0 == rotated }) == false {
            guard let keeper else {
                throw TallyError(
                    .settingsInvalid,
                    during: "token.renew",
                    "the vendor rotates refresh tokens, and there is no key to store one with",
                    remedy: "Set TOKEN_KEY to 32 random bytes in base64."
                )
            }
            try await keeper.store(grant.name, Secret(rotated))
        }
        let life = answer["expires_in"].int ?? 3_600
        return (Secret(token), asked.addingTimeInterval(Double(max(310, life))))
    }

    private func ask(_ refresh: Secret<String>?) async throws -> WireJSON {
        var fields = [("client_id", grant.clientID)]
        grant.clientSecret.expose { fields.append(("client_secret", $0)) }
        fields.append(("grant_type", refresh == nil ? "client_credentials" : "refresh_token"))
        refresh?.expose { fields.append(("refresh_token", $0)) }
        var allowed = CharacterSet.alphanumerics
        allowed.insert(charactersIn: "-._~")
        let form = fields.map { "\($0)=\($1.addingPercentEncoding(withAllowedCharacters: allowed) ?? "")" }
            .joined(separator: "&")
        let request = OutboundRequest(
            .post,
            grant.url,
            headers: ["Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"],
            body: Array(form.utf8)
        )
        let response = try await transport.send(request)
        if (400..<404).contains(response.status) {
            let code = (try? WireJSON(parsing: response.body))?["error"].string
            throw TallyError(
                .credentialsRejected,
                during: "token.renew",
                code == "invalid_client"
                    ? "the vendor does not know the client id and secret" : "the vendor has revoked the grant",
                remedy: grant.remedy
            )
        }
        if let failure = VendorAnswer.failure(response, vendor: "The token endpoint", remedy: { _ in grant.remedy }) {
            throw failure
        }
        return try WireJSON(parsing: response.body)
    }
}
