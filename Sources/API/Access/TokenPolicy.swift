import Foundation

/// Decides from a token's claims who the caller is: pure, so that every rule has a test.
package struct TokenPolicy: Sendable {
    package enum Carrier: Sendable, Equatable {
        case bearer
        case cookie
    }

    package enum Refusal: String, Error, Sendable, Equatable {
        case expired = "the token has expired"
        case expiryMissing = "the token has no exp claim"
        case notYetValid = "the token is not valid yet"
        case issuer = "the token comes from another issuer"
        case audience = "the token is meant for another audience"
        case tooOld = "the session is too old"
        case numberInvalid = "a time in the token is not a number we can use"
    }

    /// Seconds that clocks may differ.
    package static let leewaySeconds = 30.0

    let issuer: String?
    let audience: String?
    let cookieAgeMaxSeconds: Int

    package init(issuer: String?, audience: String?, cookieAgeMaxSeconds: Int) {
        self.issuer = issuer
        self.audience = audience
        self.cookieAgeMaxSeconds = cookieAgeMaxSeconds
    }

    /// - Parameter now: seconds since 1970.
    package func caller(_ claims: AccessClaims, carrier: Carrier, now: Double) throws(Refusal) -> Caller {
        for time in [claims.exp, claims.nbf, claims.iat] {
            // The year 5138: no clock of ours is asked for more.
            if let time, !(abs(time) <= 1e11) { throw .numberInvalid }
        }
        if let exp = claims.exp, now >= exp { throw .expired }
        if let nbf = claims.nbf, now + Self.leewaySeconds < nbf { throw .notYetValid }
        if let issuer, claims.iss != issuer { throw .issuer }
        if let audience, !claims.aud.contains(audience) { throw .audience }
        let named = (claims.scope ?? "").split(separator: " ").compactMap { Scope(rawValue: String($0)) }
        switch carrier {
        case .bearer:
            guard claims.exp != nil else { throw .expiryMissing }
            return Caller(
                name: name(claims),
                scopes: Set(named),
                expires: claims.exp.map(Date.init(timeIntervalSince1970:))
            )
        case .cookie:
            if claims.exp == nil {
                guard let iat = claims.iat else { throw .expiryMissing }
                guard iat <= now + Self.leewaySeconds else { throw .notYetValid }
                guard now - iat <= Double(cookieAgeMaxSeconds) else { throw .tooOld }
            }
            let scopes: Set<Scope> = claims.scope == nil ? [.read, .write] : Set(named).subtracting([.admin])
            let end = claims.exp ?? claims.iat.map { $0 + Double(cookieAgeMaxSeconds) }
            return Caller(name: name(claims), scopes: scopes, expires: end.map(Date.init(timeIntervalSince1970:)))
        }
    }

    /// The subject, cut to what may stand in a ledger and a log line.
    private func name(_ claims: AccessClaims) -> String {
        let kept = (claims.sub ?? "").unicodeScalars.filter { $0.value > 0x20 && $0.value != 0x7F }.prefix(64)
        return kept.isEmpty ? "token" : String(String.UnicodeScalarView(kept))
    }
}
