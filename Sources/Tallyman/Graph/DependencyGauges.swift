import API
import Metrics

/// Tells, on every replica, which dependencies answer: also while the one that is away is the database that runs need.
struct DependencyGauges: Sendable {
    let probes: [NamedProbe]

    /// Asks at once and then every 15 seconds until cancelled.
    func run() async throws {
        while true {
            for (name, result) in await probes.answers() {
                Gauge(label: "etl_dependency_up", dimensions: [("dependency", name)]).record(result.isOK ? 1 : 0)
            }
            try await Task.sleep(for: .seconds(15))
        }
    }
}
