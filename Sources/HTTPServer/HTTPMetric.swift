import CoreMetrics
import HTTPTypes
import Metrics

/// Every metric of the HTTP server: name, unit and labels in one place; `docs/metrics.md` lists them.
///
/// `route` is the pattern that matched, never the path a client made up; `method` is one of a closed set.
struct HTTPMetric: Sendable {
    private let factory: any MetricsFactory

    init(_ factory: any MetricsFactory) {
        self.factory = factory
    }

    func answered(_ method: HTTPRequest.Method?, route: String?, status: Int) {
        let dimensions = [
            ("route", route ?? "none"), ("method", Self.label(method)), ("status", "\(status)"),
        ]
        Counter(label: "http_requests_total", dimensions: dimensions, factory: factory).increment()
    }

    func took(_ duration: Duration, route: String?) {
        let parts = duration.components
        Metrics.Timer(
            label: "http_request_duration_seconds",
            dimensions: [("route", route ?? "none")],
            factory: factory
        )
        .recordNanoseconds(parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000)
    }

    func connections(_ count: Int) {
        Gauge(label: "http_connections", factory: factory).record(count)
    }

    func evicted() {
        Counter(label: "http_connections_evicted_total", factory: factory).increment()
    }

    private static func label(_ method: HTTPRequest.Method?) -> String {
        switch method {
        case .get, .head, .post, .put, .patch, .delete, .options: method?.rawValue ?? "other"
        default: "other"
        }
    }
}
