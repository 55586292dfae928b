package import HTTPWire

/// Where the server listens and its ceilings (INV-8).
package struct HTTPServerConfiguration: Sendable {
    /// A numeric address, IPv4 or IPv6, or `localhost`.
    package var host: String
    /// 0 lets the system choose.
    package var port: Int
    package var limits = HTTPLimits()
    /// Open connections. One more closes the one that has waited longest for its client.
    package var connectionsMax = 2_000
    package var requestsPerConnectionMax = 10_000
    /// Requests served in a row that were there before the answer to the one ahead of them was sent.
    package var pipelinedMax = 100
    package var headTimeout = Duration.seconds(10)
    package var bodyTimeout = Duration.seconds(30)
    /// Between two requests of a connection.
    package var idleTimeout = Duration.seconds(75)
    /// For a client that takes nothing of its answer.
    package var writeTimeout = Duration.seconds(30)
    /// For a handler, unless its route is declared long.
    package var handlerTimeout = Duration.seconds(60)
    /// How long what a client still sends after the last answer is read and thrown away, so that it reads the answer.
    package var lingerTimeout = Duration.seconds(2)

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}
