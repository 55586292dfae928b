import Engine
import Metrics

/// Every metric of the table exports: name, unit and labels in one place; `docs/metrics.md` lists them.
enum ExportMetric {
    static func written(_ summary: RunSummary, job: JobName, table: String) {
        guard let rows = summary.counts["written"], rows > 0 else { return }
        Counter(label: "etl_rows_processed_total", dimensions: [("source", job.rawValue), ("table", table)])
            .increment(by: Int64(rows))
    }

    /// What a comparison found, also where its run fails for it.
    static func verified(_ drift: ExportDrift, job: JobName) {
        for (kind, rows) in [("missing", drift.missing), ("stale", drift.stale), ("extra", drift.extra)] {
            Gauge(label: "etl_drift_rows", dimensions: [("source", job.rawValue), ("kind", kind)]).record(rows)
        }
    }
}
