package import Runtime

/// Keys and rules of who may call; read once, passed as a value.
package struct AccessSettings: Sendable {
    /// HMAC keys, the current one first; empty means loopback only.
    package let keys: [Secret<String>]
    package let issuer: String?
    package let audience: String?
    /// Seconds a cookie's token may be old when it carries no `exp`.
    package let cookieAgeMaxSeconds: Int
    package let metricsToken: Secret<String>?
    /// Origins, such as `https://ops.example.com`, whose scripts may call and read answers.
    package let corsOrigins: [String]

    package init(
        keys: [Secret<String>],
        issuer: String? = nil,
        audience: String? = nil,
        cookieAgeMaxSeconds: Int = 86_400,
        metricsToken: Secret<String>? = nil,
        corsOrigins: [String] = []
    ) {
        self.keys = keys
        self.issuer = issuer
        self.audience = audience
        self.cookieAgeMaxSeconds = cookieAgeMaxSeconds
        self.metricsToken = metricsToken
        self.corsOrigins = corsOrigins
    }
}
