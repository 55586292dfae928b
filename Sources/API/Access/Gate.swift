import Crypto
import Foundation
package import HTTPTypes
import Runtime

/// Decides for one request whether it may pass, and who sent it.
package struct Gate: Sendable {
    private let settings: AccessSettings
    private let verifier: TokenVerifier
    private let policy: TokenPolicy
    private let browser: BrowserGuard
    private let secondsNow: @Sendable () -> Double

    package init(
        _ settings: AccessSettings,
        secondsNow: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 }
    ) async {
        self.settings = settings
        self.verifier = await TokenVerifier(keys: settings.keys)
        self.policy = TokenPolicy(
            issuer: settings.issuer,
            audience: settings.audience,
            cookieAgeMaxSeconds: settings.cookieAgeMaxSeconds
        )
        self.browser = BrowserGuard(corsOrigins: settings.corsOrigins)
        self.secondsNow = secondsNow
    }

    package var hasKey: Bool { !settings.keys.isEmpty }

    var namesOrigins: Bool { !settings.corsOrigins.isEmpty }

    func allows(origin: String) -> Bool { settings.corsOrigins.contains(origin) }

    /// Refuses a `Host` that is not this machine while there is no key (DNS rebinding).
    package func checkHost(_ host: String?) throws {
        guard !hasKey, !BrowserGuard.isLoopback(host: host) else { return }
        throw Problem(
            .hostRefused,
            status: 421,
            "Not this host",
            detail: "Without JWT_KEY only requests to a loopback name such as localhost are answered."
        )
    }

    /// The caller, when the request may pass.
    ///
    /// - Parameter changes: the request changes something or starts work, so another site must not be able to send it.
    /// - Throws: a problem with status 401 or 403.
    package func admit(
        _ headers: HTTPFields,
        host: String?,
        level: AccessLevel,
        changes: Bool
    ) async throws -> Caller {
        if let caller = try admitUnidentified(headers, host: host, level: level, changes: changes) { return caller }
        guard let scope = level.scope else { return .anonymous }
        let caller = try await identify(headers, host: host, changes: changes)
        guard caller.scopes.contains(scope) else {
            throw Problem(
                .scopeMissing,
                status: 403,
                "Not allowed",
                detail: "The token lacks the scope \(scope.rawValue).",
                members: ["scope": .string(scope.rawValue)],
                headers: [
                    "WWW-Authenticate":
                        "Bearer realm=\"tallyman\", error=\"insufficient_scope\", scope=\"\(scope.rawValue)\""
                ]
            )
        }
        return caller
    }

    /// The caller of what needs no token; nil when one must be read.
    func admitUnidentified(_ headers: HTTPFields, host: String?, level: AccessLevel, changes: Bool) throws -> Caller? {
        if level == .metrics { return try admitMetrics(headers) }
        guard !hasKey else { return level.scope == nil ? .anonymous : nil }
        if changes, verdict(headers, host) == .otherSite { throw Self.originRefused }
        return .loopback
    }

    private func identify(_ headers: HTTPFields, host: String?, changes: Bool) async throws -> Caller {
        if let authorization = headers[.authorization] {
            let parts = authorization.split(separator: " ", omittingEmptySubsequences: true)
            guard parts.count == 2, parts[0].lowercased() == "bearer" else { throw Self.tokenInvalid(nil) }
            return try await caller(String(parts[1]), .bearer)
        }
        if let field = headers[.cookie], let token = SessionCookie.token(in: field) {
            if changes, verdict(headers, host) != .ownSite { throw Self.originRefused }
            return try await caller(token, .cookie)
        }
        throw Problem(
            .tokenRequired,
            status: 401,
            "Token required",
            detail: "Send Authorization: Bearer with a token.",
            headers: ["WWW-Authenticate": "Bearer realm=\"tallyman\""]
        )
    }

    private func caller(_ token: String, _ carrier: TokenPolicy.Carrier) async throws -> Caller {
        let claims: AccessClaims
        do {
            claims = try await verifier.claims(of: token)
        } catch {
            throw Self.tokenInvalid(nil)
        }
        do {
            return try policy.caller(claims, carrier: carrier, now: secondsNow())
        } catch {
            throw Self.tokenInvalid(error.rawValue)
        }
    }

    private func admitMetrics(_ headers: HTTPFields) throws -> Caller {
        guard let expected = settings.metricsToken else { return .anonymous }
        let sent = headers[.authorization] ?? ""
        // Digests are compared, so the time taken tells nothing about the token.
        let same = expected.expose {
            SHA256.hash(data: Data("Bearer \($0)".utf8)) == SHA256.hash(data: Data(sent.utf8))
        }
        guard same else { throw Self.tokenInvalid("the metrics token is missing or wrong") }
        return .anonymous
    }

    private func verdict(_ headers: HTTPFields, _ host: String?) -> BrowserGuard.Verdict {
        browser.verdict(origin: headers[.origin], fetchSite: headers[.secFetchSite], host: host)
    }

    private static let originRefused = Problem(
        .originRefused,
        status: 403,
        "Cross-site request refused",
        detail: "A browser may send this request only from this daemon's own origin."
    )

    private static func tokenInvalid(_ reason: String?) -> Problem {
        Problem(
            .tokenInvalid,
            status: 401,
            "Token refused",
            detail: "The token is not valid\(reason.map { ": \($0)" } ?? "").",
            headers: ["WWW-Authenticate": "Bearer realm=\"tallyman\", error=\"invalid_token\""]
        )
    }
}

extension HTTPField.Name {
    static var secFetchSite: HTTPField.Name { HTTPField.Name("Sec-Fetch-Site") ?? .origin }
}
