import Metrics
import Synchronization

/// Every metric of the retail job: name, unit and labels in one place; `docs/metrics.md` lists them.
enum RetailMetric {
    static func rows(_ stage: RetailStage, _ entity: BronzeEntity, _ count: Int) {
        guard count > 0 else { return }
        Counter(
            label: "etl_rows_processed_total",
            dimensions: [("source", "retail_\(stage.rawValue)"), ("table", entity.rawValue)]
        )
        .increment(by: Int64(count))
    }

    static func file(_ facts: BronzeFileFacts) {
        let table = [("table", facts.entity.rawValue)]
        Counter(label: "etl_bronze_files_total", dimensions: table).increment()
        Counter(label: "etl_bronze_bytes_total", dimensions: table).increment(by: Int64(facts.bytes))
    }

    /// Sales that bronze has and silver has not, by id.
    static func lag(_ ids: Int64) {
        Gauge(label: "etl_sales_id_lag_ids", dimensions: [("source", "retail")]).record(ids)
    }

    /// When the source was asked for the newest file that the table holds.
    static func fresh(_ entity: BronzeEntity, secondsSince1970: Double) {
        Gauge(
            label: "etl_table_fresh_timestamp_seconds",
            dimensions: [("source", "retail"), ("table", entity.rawValue)]
        )
        .record(secondsSince1970)
    }

    private static let nodes = Mutex<[String: String]>([:])

    /// No node is good until this gold stage has reached it.
    static func goldBegins() {
        for (name, kind) in nodes.withLock({ $0 }) { node(name, kind: kind, isGood: false) }
    }

    /// 1 when the model was built or the test passed in the last gold stage, else 0.
    static func node(_ name: String, kind: String, isGood: Bool) {
        nodes.withLock { $0[name] = kind }
        Gauge(label: "etl_dbt_node_status", dimensions: [("node", name), ("type", kind)]).record(isGood ? 1 : 0)
    }
}
