import Foundation
package import HTTPClient
package import Runtime

/// Lends the access token that a request carries and renews it in time.
package protocol AccessTokens: Sendable {
    /// A token that is good for another minute at least. `isRefused` is one the vendor has just refused.
    func token(refused: Bool) async throws -> Secret<String>
}

extension AccessTokens {
    /// Sends with a good token; when the vendor refuses it, once more with a new one.
    package func sending(
        refusal: (OutboundResponse) -> Bool = { $0.status == 401 },
        _ send: (Secret<String>) async throws -> OutboundResponse
    ) async throws -> OutboundResponse {
        let response = try await send(try await token(refused: false))
        guard refusal(response) else { return response }
        return try await send(try await token(refused: true))
    }
}

/// A token obtained elsewhere.
package struct FixedToken: AccessTokens {
    private let secret: Secret<String>

    package init(_ secret: Secret<String>) {
        self.secret = secret
    }

    package func token(refused: Bool) async throws -> Secret<String> { secret }
}
