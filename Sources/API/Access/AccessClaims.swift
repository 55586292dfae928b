/// The claims we read of a token; what they must say is decided by `TokenPolicy`.
package struct AccessClaims: Codable, Sendable, Equatable {
    package var sub: String?
    package var exp: Double?
    package var nbf: Double?
    package var iat: Double?
    package var iss: String?
    package var aud: [String]
    package var scope: String?

    private enum CodingKeys: String, CodingKey {
        case sub, exp, nbf, iat, iss, aud, scope, id, email
    }

    package init(
        sub: String?,
        exp: Double?,
        nbf: Double? = nil,
        iat: Double? = nil,
        iss: String? = nil,
        aud: [String] = [],
        scope: String? = nil
    ) {
        self.sub = sub
        self.exp = exp
        self.nbf = nbf
        self.iat = iat
        self.iss = iss
        self.aud = aud
        self.scope = scope
    }

    package init(from decoder: any Decoder) throws {
        let box = try decoder.container(keyedBy: CodingKeys.self)
        // The service replaced signed {id, email}: its tokens name their user that way.
        sub = try box.decodeIfPresent(String.self, forKey: .sub) ?? (try? box.decodeIfPresent(String.self, forKey: .id))
        exp = try box.decodeIfPresent(Double.self, forKey: .exp)
        nbf = try box.decodeIfPresent(Double.self, forKey: .nbf)
        iat = try box.decodeIfPresent(Double.self, forKey: .iat)
        iss = try box.decodeIfPresent(String.self, forKey: .iss)
        if let one = try? box.decodeIfPresent(String.self, forKey: .aud) {
            aud = [one]
        } else {
            aud = try box.decodeIfPresent([String].self, forKey: .aud) ?? []
        }
        scope = try box.decodeIfPresent(String.self, forKey: .scope)
    }

    package func encode(to encoder: any Encoder) throws {
        var box = encoder.container(keyedBy: CodingKeys.self)
        try box.encodeIfPresent(sub, forKey: .sub)
        try box.encodeIfPresent(exp.map { Int($0) }, forKey: .exp)
        try box.encodeIfPresent(nbf.map { Int($0) }, forKey: .nbf)
        try box.encodeIfPresent(iat.map { Int($0) }, forKey: .iat)
        try box.encodeIfPresent(iss, forKey: .iss)
        if !aud.isEmpty { try box.encode(aud, forKey: .aud) }
        try box.encodeIfPresent(scope, forKey: .scope)
    }
}
