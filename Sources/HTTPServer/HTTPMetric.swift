import CoreMetrics
import HTTPTypes
import Metrics
import Synchronization

/// Every metric of the HTTP server: name, unit and labels in one place; `docs/metrics.md` lists them.
///
/// `route` is the pattern that matched, never the path a client made up; `method` is one of a closed set. Handles are
/// kept, since making one costs more than counting.
final class HTTPMetric: Sendable {
    private struct Answer: Hashable {
        let method: String
        let route: String
        let status: Int
    }

    private struct Handles {
        var answers: [Answer: Counter] = [:]
        var durations: [String: Metrics.Timer] = [:]
    }

    private let factory: any MetricsFactory
    private let handles = Mutex(Handles())
    private let open: Gauge

    init(_ factory: any MetricsFactory) {
        self.factory = factory
        open = Gauge(label: "http_connections", factory: factory)
    }

    func answered(_ method: HTTPRequest.Method?, route: String?, status: Int) {
        let answer = Answer(method: Self.label(method), route: route ?? "none", status: status)
        let counter = handles.withLock { handles in
            if let known = handles.answers[answer] { return known }
            let dimensions = [("route", answer.route), ("method", answer.method), ("status", "\(status)")]
            let counter = Counter(label: "http_requests_total", dimensions: dimensions, factory: factory)
            handles.answers[answer] = counter
            return counter
        }
        counter.increment()
    }

    func took(_ duration: Duration, route: String?) {
        let route = route ?? "none"
        let timer = handles.withLock { handles in
            if let known = handles.durations[route] { return known }
            let label = "http_request_duration_seconds"
            let timer = Metrics.Timer(label: label, dimensions: [("route", route)], factory: factory)
            handles.durations[route] = timer
            return timer
        }
        let parts = duration.components
        timer.recordNanoseconds(parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000)
    }

    func connections(_ count: Int) {
        open.record(count)
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
