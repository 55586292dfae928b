import HTTPServer
import HTTPTypes
import HTTPWire

/// The server's two: bytes into a request head, and a path into its route.
struct HTTPWork {
    private static let head = Array(
        """
        GET /api/etl/runs/0192f7a4-5b1c-7c3e-9f00-1a2b3c4d5e6f?limit=20 HTTP/1.1\r
        Host: tallyman.example:8080\r
        User-Agent: kube-probe/1.34\r
        Accept: application/json, text/plain;q=0.5\r
        Accept-Encoding: gzip, zstd\r
        X-Request-Id: 4bf92f3577b34da6a3ce929d0e0e4736\r
        Connection: keep-alive\r
        \r

        """.utf8
    )
    private let router: Router

    init() {
        var router = Router()
        let names = [
            "live", "ready", "health", "metrics", "openapi.json", "api/etl/jobs", "api/etl/runs", "api/etl/sync",
        ]
        for name in names { router.on(.get, "/" + name) { _, _ in ServerResponse(status: .ok) } }
        for name in ["runs/{id}", "runs/{id}/events", "jobs/{name}", "jobs/{name}/run", "tables/{schema}/{table}"] {
            router.on(.get, "/api/etl/" + name) { _, _ in ServerResponse(status: .ok) }
        }
        self.router = router
    }

    /// Parses the same head that often; how many fields all heads had.
    func parse(heads count: Int) throws -> Int {
        var fields = 0
        for _ in 0..<count {
            var parser = RequestHeadParser()
            if case .head(let head, _) = try parser.feed(Self.head) { fields += head.fields.count }
        }
        return fields
    }

    /// Looks routes up in turn: without parameters, with one, with two, and none; how many were found.
    func route(requests count: Int) -> Int {
        let paths = [
            ["live"], ["api", "etl", "sync"], ["api", "etl", "runs", "0192f7a4"],
            ["api", "etl", "tables", "public", "product"], ["api", "etl", "nothing"],
        ]
        return (0..<count).count { router.match(.get, paths[$0 % paths.count]) != nil }
    }
}
