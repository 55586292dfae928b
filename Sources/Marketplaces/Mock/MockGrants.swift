import Foundation
package import HTTPClient
import Runtime
import Synchronization

/// The token endpoints of both vendors: tokens that wear out, refresh tokens that rotate.
package final class MockGrants: Sendable {
    private struct State {
        var issued = 0
        var uses: [String: Int] = [:]
        var rotated: Set<String> = []
    }
    private let state = Mutex(State())
    private let usesMax: Int
    private let rotates: Bool

    /// An access token is refused after `usesMax` requests; with `rotates` a refresh token is good once.
    package init(usesMax: Int = .max, rotates: Bool = false) {
        self.usesMax = usesMax
        self.rotates = rotates
    }

    /// How many access tokens were granted.
    package var granted: Int { state.withLock { $0.issued } }

    func admits(_ token: String) -> Bool {
        state.withLock { state in
            guard let uses = state.uses[token], uses < usesMax else { return false }
            state.uses[token] = uses + 1
            return true
        }
    }

    package func respond(_ request: OutboundRequest) -> OutboundResponse {
        var form = URLComponents()
        form.percentEncodedQuery = String(decoding: request.body ?? [], as: UTF8.self)
        let fields = Dictionary((form.queryItems ?? []).map { ($0.name, $0.value ?? "") }, uniquingKeysWith: { $1 })
        let refresh = fields["refresh_token"]
        guard fields["client_id"]?.isEmpty == false, fields["client_secret"] != "wrong" else {
            return OutboundResponse(status: 401, body: Array(#"{"error":"invalid_client"}"#.utf8))
        }
        let answer = state.withLock { state -> String? in
            if let refresh {
                guard !refresh.contains("revoked"), !state.rotated.contains(refresh) else { return nil }
                if rotates { state.rotated.insert(refresh) }
            }
            state.issued += 1
            let token = "mock-access-\(state.issued)"
            state.uses[token] = 0
            let following = rotates ? "mock-refresh-\(state.issued)" : refresh ?? ""
            let next = refresh == nil ? "" : ",\"refresh_token\":\"\(following)\""
            return "{\"access_token\":\"\(token)\",\"token_type\":\"bearer\",\"expires_in\":3600\(next)}"
        }
        guard let answer else {
            return OutboundResponse(status: 400, body: Array(#"{"error":"invalid_grant"}"#.utf8))
        }
        return OutboundResponse(status: 200, headers: ["Content-Type": "application/json"], body: Array(answer.utf8))
    }
}
