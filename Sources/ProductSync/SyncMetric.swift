import Metrics

/// Every metric of the product sync: name, unit and labels in one place; `docs/metrics.md` lists them.
enum SyncMetric {
    static func record(_ tally: SyncTally, dryRun: Bool) { record(tally.counts, dryRun: dryRun) }

    /// Of the counts of a run, as they also stand in the ledger.
    static func record(_ counts: [String: Int], dryRun: Bool) {
        func count(_ name: String) -> Int { counts[name] ?? 0 }
        gauge("etl_source_rows", count("totalProductsInSource"))
        gauge("etl_target_rows", count("totalProductsInTarget") + count("insertedProducts") - count("deletedProducts"))
        let repaired = dryRun ? 0 : 1
        drift("missing", count("missingProducts") - count("insertedProducts") * repaired)
        drift("stale", count("staleProducts") - count("updatedProducts") * repaired)
        let settled = count("deletedProducts") + count("markedProducts")
        drift("orphaned", count("orphanedProducts") - settled * repaired)
        drift("dead_letter", count("deadLetters"))
    }

    private static func gauge(_ label: String, _ value: Int) {
        Gauge(label: label, dimensions: [("source", "product_sync")]).record(value)
    }

    private static func drift(_ kind: String, _ rows: Int) {
        Gauge(label: "etl_drift_rows", dimensions: [("source", "product_sync"), ("kind", kind)]).record(max(0, rows))
    }
}
