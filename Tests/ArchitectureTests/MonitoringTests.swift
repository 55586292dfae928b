import Foundation
import Testing

/// The rules for Prometheus and the dashboards for Grafana, held against promtool and against the metrics there are.
@Suite struct MonitoringTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let hasPromtool = environment["TEST_PROMTOOL"] != nil || environment["CI"] != nil

    /// Names of ours in an expression, without the suffixes that a histogram adds.
    private static func metrics(in text: String) -> Set<String> {
        Set(
            text.matches(of: #/\b(?:etl|http|process)_[a-z0-9_]+/#).map {
                String($0.output).replacing(#/_(bucket|count|sum)$/#, with: "")
            }
        )
    }

    private static var known: Set<String> { DocumentRules.metricNames(Project.swiftFiles) }

    @Test func rulesAskForMetricsThereAre() throws {
        let rules = try #require(Project.text("k8s/prometheus-rules.yml"))
        #expect(rules.matches(of: #/expr:/#).count >= 8)
        let unknown = Self.metrics(in: rules).subtracting(Self.known)
        #expect(unknown.isEmpty, "\(unknown)")
    }

    @Test func everyRuleIsExplainedAndHasAnExample() throws {
        let rules = try #require(Project.text("k8s/prometheus-rules.yml"))
        let examples = try #require(Project.text("k8s/prometheus-rules.test.yml"))
        let document = try #require(Project.text("docs/alerts.md"))
        for match in rules.matches(of: #/alert: (\w+)/#) {
            #expect(examples.contains("alertname: \(match.output.1)"), "\(match.output.1) has no example")
            #expect(document.contains("| `\(match.output.1)` |"), "\(match.output.1) is not explained")
        }
    }

    @Test(.enabled(if: hasPromtool, "TEST_PROMTOOL names no promtool; bin/test sets it"))
    func promtoolAgrees() throws {
        for arguments in [
            ["check", "rules", "k8s/prometheus-rules.yml"], ["test", "rules", "k8s/prometheus-rules.test.yml"],
        ] {
            let process = Process()
            process.executableURL = URL(filePath: try #require(Self.environment["TEST_PROMTOOL"]))
            process.arguments = arguments
            process.currentDirectoryURL = Project.root
            let output = Pipe()
            process.standardOutput = output
            process.standardError = output
            try process.run()
            let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == 0, "\(text)")
        }
    }

    @Test func dashboardsAskForMetricsThereAre() throws {
        var panels = 0
        for path in try Project.files(in: "grafana") where path.hasSuffix(".json") {
            let text = try #require(Project.text(path))
            let dashboard = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
            #expect(dashboard["uid"] is String, "\(path) has no uid")
            for panel in dashboard["panels"] as? [[String: Any]] ?? [] {
                panels += 1
                #expect((panel["description"] as? String)?.isEmpty == false, "\(path): a panel says nothing of itself")
                for target in panel["targets"] as? [[String: Any]] ?? [] {
                    guard let expression = target["expr"] as? String else { continue }
                    #expect(Self.metrics(in: expression).subtracting(Self.known).isEmpty, "\(path): \(expression)")
                }
            }
        }
        #expect(panels >= 10)
    }
}
