import Engine
import Metrics

/// Every metric of the table exports: name, unit and labels in one place; `docs/metrics.md` lists them.
enum ExportMetric {
    static func record(_ summary: RunSummary, job: JobName, table: String, dryRun: Bool) {
        if !dryRun, let rows = summary.counts["written"], rows > 0 {
            Counter(label: "etl_rows_processed_total", dimensions: [("source", job.rawValue), ("table", table)])
                .increment(by: Int64(rows))
        }
        for kind in ["missing", "stale", "extra"] {
            guard let rows = summary.counts[kind] else { continue }
            Gauge(label: "etl_drift_rows", dimensions: [("source", job.rawValue), ("kind", kind)]).record(rows)
        }
    }
}
