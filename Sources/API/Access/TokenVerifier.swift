import JWTKit
package import Runtime

/// Checks signatures of HS256 tokens with the current key and the previous one.
package struct TokenVerifier: Sendable {
    package struct Untrusted: Error, Sendable, Equatable {
        package init() {}
    }

    private let collections: [JWTKeyCollection]

    package init(keys: [Secret<String>]) async {
        var collections: [JWTKeyCollection] = []
        for key in keys {
            let hmac = key.expose { HMACKey(from: Self.padded($0)) }
            collections.append(await JWTKeyCollection().add(hmac: hmac, digestAlgorithm: .sha256))
        }
        self.collections = collections
    }

    /// The claims of a token that one of our keys signed.
    ///
    /// - Throws: `Untrusted` for anything else, without saying what: a caller learns nothing from it.
    package func claims(of token: String) async throws(Untrusted) -> AccessClaims {
        guard TokenText.isHS256(token) else { throw Untrusted() }
        for collection in collections {
            if let claims = try? await collection.verify(token, as: AccessClaims.self) { return claims }
        }
        throw Untrusted()
    }

    /// Signs with the current key, or answers nil when there is none.
    package func sign(_ claims: AccessClaims) async throws -> String? {
        try await collections.first?.sign(claims)
    }

    /// HMAC fills a key shorter than its block with zeros (RFC 2104 §2), so this changes no signature; the library
    /// insists on the length of its hash.
    private static func padded(_ key: String) -> [UInt8] {
        let bytes = Array(key.utf8)
        return bytes + Array(repeating: 0, count: max(0, 32 - bytes.count))
    }
}
