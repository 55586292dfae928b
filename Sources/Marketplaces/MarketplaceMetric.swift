import Metrics

/// Every metric of the marketplaces: name, unit and labels in one place; `docs/metrics.md` lists them.
enum MarketplaceMetric {
    /// Rows changed, after their commit.
    static func rows(source: String, _ changes: MarketplaceStore.Changes) {
        for (table, count) in changes where count > 0 {
            Counter(label: "etl_rows_processed_total", dimensions: [("source", source), ("table", table)])
                .increment(by: Int64(count))
        }
    }

    static func failed(source: String, stage: String) {
        Counter(label: "etl_errors_total", dimensions: [("source", source), ("stage", stage)]).increment()
    }

    static func took(source: String, pipeline: Pipeline, _ duration: Duration) {
        let parts = duration.components
        Metrics.Timer(
            label: "etl_run_duration_seconds",
            dimensions: [("source", source), ("pipeline", pipeline.rawValue)]
        )
        .recordNanoseconds(parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000)
    }
}
