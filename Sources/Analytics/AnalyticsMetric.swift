import Engine
import Metrics

/// The metrics of this area: rows by the warehouse table they went into.
enum AnalyticsMetric {
    static func loaded(_ job: JobName, table: String, rows: Int) {
        Counter(label: "etl_rows_processed_total", dimensions: [("source", job.rawValue), ("table", table)])
            .increment(by: Int64(rows))
    }
}
