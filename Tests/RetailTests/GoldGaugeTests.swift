import Engine
import Foundation
import Telemetry
import Testing

@testable import Retail

/// What the metrics say of gold's models and tests.
@Suite struct GoldGaugeTests {
    /// A stage that stops early, here before its first step, leaves no node of an earlier one good.
    @Test func aStageThatReachesNoNodeLeavesNoneGood() async throws {
        MetricsRegistry.install()
        let bench = try await RetailBench(sales: 1)
        RetailMetric.node("mart_of_yesterday", kind: "model", isGood: true)
        var gold = bench.gold
        gold.executable = "dbt-that-is-not-installed"
        let nowhere = try #require(URL(string: "http://127.0.0.1:9"))
        #expect(try await bench.run(nowhere, options: .stage("gold"), gold: gold).state == .failed)
        let labels = ["node": "mart_of_yesterday", "type": "model"]
        #expect(MetricsRegistry.shared.value("etl_dbt_node_status", labels: labels) == 0)
        await bench.close()
    }
}
