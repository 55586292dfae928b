package import JWTKit

extension AccessClaims: JWTPayload {
    /// The library checks the signature; what the claims must say is `TokenPolicy`'s, with a clock of its own.
    package func verify(using algorithm: some JWTAlgorithm) async throws {}
}
