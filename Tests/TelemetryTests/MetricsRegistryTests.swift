import CoreMetrics
import Telemetry
import Testing

@Suite struct MetricsRegistryTests {
    @Test func writesPrometheusText() {
        let registry = MetricsRegistry()
        registry.describe("jobs_total", help: "Jobs\nby \\ state.")
        registry.makeCounter(label: "jobs_total", dimensions: [("state", "a\"b\\c\nd")]).increment(by: 3)
        registry.makeTimer(label: "run_seconds", dimensions: []).recordNanoseconds(20_000_000)
        let text = registry.prometheusText()
        #expect(text.contains("# HELP jobs_total Jobs\\nby \\\\ state.\n# TYPE jobs_total counter\n"))
        #expect(text.contains("jobs_total{state=\"a\\\"b\\\\c\\nd\"} 3\n"))
        #expect(text.contains("run_seconds_bucket{le=\"0.01\"} 0\n"))
        #expect(text.contains("run_seconds_bucket{le=\"0.025\"} 1\n"))
        #expect(text.contains("run_seconds_bucket{le=\"+Inf\"} 1\n"))
        #expect(text.contains("run_seconds_count 1\n"))
        #expect(registry.value("jobs_total", labels: ["state": "a\"b\\c\nd"]) == 3)
    }

    @Test func quotesAreEscapedWhateverStandsBesideThem() {
        let registry = MetricsRegistry()
        registry.describe("jobs_total", help: "Jobs\r\nby state\\\u{301}.")
        registry.makeCounter(label: "jobs_total", dimensions: [("state", "a\"\u{301}\u{600}\"\r\n\\\u{20DD}")])
            .increment(by: 1)
        let text = registry.prometheusText()
        // By scalars: to `contains` of Swift's strings an escaped quote with a mark is no quote either.
        func has(_ line: String) -> Bool { text.utf8.split(separator: 0x0A).contains { $0.elementsEqual(line.utf8) } }
        #expect(has("# HELP jobs_total Jobs\r\\nby state\\\\\u{301}."))
        #expect(has("jobs_total{state=\"a\\\"\u{301}\u{600}\\\"\r\\n\\\\\u{20DD}\"} 1"))
    }

    @Test func seriesAreBounded() {
        let registry = MetricsRegistry()
        for number in 0..<1_500 {
            registry.makeCounter(label: "wild_total", dimensions: [("n", "\(number)")]).increment(by: 1)
        }
        #expect(registry.prometheusText().contains("tallyman_metric_series_dropped_total 500\n"))
    }
}
