package import HTTPWire

/// Where the server listens and its ceilings.
package struct HTTPServerConfiguration: Sendable {
    package var host: String
    /// 0 lets the system choose.
    package var port: Int
    package var limits = HTTPLimits()
    package var connectionsMax = 2_000
    package var requestsPerConnectionMax = 10_000
    package var headTimeout = Duration.seconds(10)
    package var bodyTimeout = Duration.seconds(30)
    package var idleTimeout = Duration.seconds(75)
    package var writeTimeout = Duration.seconds(30)

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}
