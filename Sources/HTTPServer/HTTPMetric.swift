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
        let route: Int
        let method: Int
        let status: Int
    }

    private struct Handles {
        var answers: [Answer: Counter] = [:]
        var durations: [Int: Metrics.Timer] = [:]
    }

    private let factory: any MetricsFactory
    private let handles = Mutex(Handles())
    private let open: Meter

    init(_ factory: any MetricsFactory) {
        self.factory = factory
        open = Meter(label: "http_connections", factory: factory)
    }

    /// - Parameter match: nil when no route took the request.
    func answered(_ method: HTTPRequest.Method?, _ match: Router.Match?, status: Int) {
        let method = Self.methods.firstIndex { $0 == method } ?? Self.methods.count
        let answer = Answer(route: match?.number ?? -1, method: method, status: status)
        let counter = handles.withLock { handles in
            if let known = handles.answers[answer] { return known }
            let label = method < Self.methods.count ? Self.methods[method].rawValue : "other"
            let dimensions = [("route", match?.pattern ?? "none"), ("method", label), ("status", "\(status)")]
            let counter = Counter(label: "http_requests_total", dimensions: dimensions, factory: factory)
            handles.answers[answer] = counter
            return counter
        }
        counter.increment()
    }

    func took(_ duration: Duration, _ match: Router.Match?) {
        let timer = handles.withLock { handles in
            if let known = handles.durations[match?.number ?? -1] { return known }
            let label = "http_request_duration_seconds"
            let dimensions = [("route", match?.pattern ?? "none")]
            let timer = Metrics.Timer(label: label, dimensions: dimensions, factory: factory)
            handles.durations[match?.number ?? -1] = timer
            return timer
        }
        let parts = duration.components
        timer.recordNanoseconds(parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000)
    }

    /// A difference and no count: a process may have a second server, for `/metrics` alone.
    func opened() { open.increment() }

    func closed() { open.decrement() }

    func evicted() {
        Counter(label: "http_connections_evicted_total", factory: factory).increment()
    }

    private static let methods: [HTTPRequest.Method] = [.get, .head, .post, .put, .patch, .delete, .options]
}
