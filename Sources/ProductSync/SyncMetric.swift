import Metrics

/// Every metric of the product sync: name, unit and labels in one place; `docs/metrics.md` lists them.
enum SyncMetric {
    static func record(_ tally: SyncTally, dryRun: Bool) {
        gauge("etl_source_rows", tally.source)
        gauge("etl_target_rows", tally.target + tally.inserted - tally.deleted)
        let repaired = dryRun ? 0 : 1
        drift("missing", tally.missing - tally.inserted * repaired)
        drift("stale", tally.stale - tally.updated * repaired)
        drift("orphaned", tally.orphaned - (tally.deleted + tally.marked) * repaired)
        drift("dead_letter", tally.deadLetters)
    }

    private static func gauge(_ label: String, _ value: Int) {
        Gauge(label: label, dimensions: [("source", "product_sync")]).record(value)
    }

    private static func drift(_ kind: String, _ rows: Int) {
        Gauge(label: "etl_drift_rows", dimensions: [("source", "product_sync"), ("kind", kind)]).record(max(0, rows))
    }
}
