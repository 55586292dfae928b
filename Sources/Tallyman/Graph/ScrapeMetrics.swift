import Foundation
import Metrics
import Mongo
import Postgres
import Telemetry

/// Gauges that are read when somebody scrapes, and the help lines of what this target emits.
struct ScrapeMetrics: Sendable {
    let postgres: [(name: String, pool: PGPool)]
    let mongo: [(name: String, pool: MongoPool)]
    let startedAt: Date

    /// Registers names once; the build's version is a label of a gauge that is always 1.
    func start() {
        let registry = MetricsRegistry.shared
        registry.describe("etl_build_info", help: "Always 1; the label carries the version.")
        registry.describe("etl_uptime_seconds", help: "Seconds since the daemon started.")
        registry.describe("etl_pool_connections", help: "Connections of a pool by state: in_use, idle, waiting.")
        registry.describe("etl_dependency_up", help: "1 when the dependency answered the last probe, else 0.")
        Gauge(label: "etl_build_info", dimensions: [("version", ProcessSetup.version)]).record(1)
    }

    /// The page with its gauges as they are now.
    func page() -> String {
        Gauge(label: "etl_uptime_seconds").record(Date().timeIntervalSince(startedAt))
        for (name, pool) in postgres {
            let stats = pool.stats
            record(name, "in_use", stats.open - stats.idle)
            record(name, "idle", stats.idle)
            record(name, "waiting", stats.waiting)
        }
        for (name, pool) in mongo {
            let stats = pool.stats
            record(name, "in_use", stats.inUse)
            record(name, "waiting", stats.waiting)
        }
        return MetricsRegistry.shared.prometheusText()
    }

    private func record(_ pool: String, _ state: String, _ count: Int) {
        Gauge(label: "etl_pool_connections", dimensions: [("pool", pool), ("state", state)]).record(count)
    }
}
