import Foundation
import Metrics

/// Every metric of the engine: name, unit and labels in one place; `docs/metrics.md` lists them.
enum EngineMetric {
    static func finished(
        _ job: JobName,
        _ outcome: RunExecution.Outcome,
        dryRun: Bool,
        duration: Duration,
        retries: Int
    ) {
        let parts = duration.components
        let nanoseconds = parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000
        Metrics.Timer(
            label: "etl_run_duration_seconds",
            dimensions: [("source", job.rawValue), ("pipeline", job.rawValue)]
        )
        .recordNanoseconds(nanoseconds)
        Counter(label: "etl_runs_total", dimensions: [("job", job.rawValue), ("state", outcome.state.rawValue)])
            .increment()
        if let rows = outcome.counts["syncedProducts"], rows > 0 {
            Counter(label: "etl_rows_processed_total", dimensions: [("source", job.rawValue), ("table", "product")])
                .increment(by: Int64(rows))
        }
        if retries > 0 {
            Counter(label: "etl_retries_total", dimensions: [("job", job.rawValue)]).increment(by: Int64(retries))
        }
        if outcome.state == .failed {
            let stage = outcome.error?.stage.split(separator: ".").first.map(String.init) ?? "run"
            Counter(label: "etl_errors_total", dimensions: [("source", job.rawValue), ("stage", stage)]).increment()
        }
        if outcome.state == .succeeded, !dryRun {
            Gauge(label: "etl_last_success_timestamp_seconds", dimensions: [("job", job.rawValue)])
                .record(Date().timeIntervalSince1970)
        }
    }
}

enum SchedulerMetric {
    static func leads(_ leads: Bool) {
        Gauge(label: "etl_scheduler_leader").record(leads ? 1 : 0)
    }
}
