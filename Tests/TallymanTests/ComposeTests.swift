import Foundation
import TestKit
import Testing
import Yams

@testable import Tallyman

/// compose.yaml and what it mounts, as far as they can be checked without an engine: shape, pins, paths, names.
@Suite struct ComposeTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")

    private static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    private static func yaml(_ path: String) throws -> Node { try #require(try Yams.compose(yaml: text(path))) }

    private static func services() throws -> [String: Node] {
        let mapping = try #require(try yaml("compose.yaml")["services"]?.mapping)
        return Dictionary(uniqueKeysWithValues: mapping.compactMap { key, value in key.string.map { ($0, value) } })
    }

    @Test func everyServiceIsThereAndPinned() throws {
        let services = try Self.services()
        #expect(services.keys.sorted() == ["grafana", "mongodb", "postgres", "prometheus", "tallyman"])
        for (name, service) in services {
            let image = try #require(service["image"]?.string, "\(name) names no image")
            let tag = try #require(
                image.split(separator: ":").dropFirst().first.map(String.init),
                "\(image) has no tag"
            )
            #expect(tag.contains(/^v?\d+\.\d+\.\d+|^15\.\d+/), "\(image) is not pinned to a release")
            for port in service["ports"]?.array().compactMap(\.string) ?? [] {
                #expect(port.hasPrefix("127.0.0.1:"), "\(name) answers beyond this machine: \(port)")
            }
        }
        #expect(services["tallyman"]?["image"]?.string == "tallyman:\(ProcessSetup.version)")
        #expect(services["tallyman"]?["read_only"]?.bool == true)
    }

    @Test func everySettingIsOneOfOurs() throws {
        let known = Set(SettingName.allCases.map(\.rawValue))
        let given = try #require(try Self.services()["tallyman"]?["environment"]?.mapping).compactMap(\.key.string)
        for name in given { #expect(known.contains(name), "\(name) is no setting") }
        #expect(Set(given).isSuperset(of: ["JWT_KEY", "CART_DB_URL", "PRODUCT_SERVICE_MONGODB_URL"]))
        let key = try Self.services()["tallyman"]?["environment"]?["JWT_KEY"]?.string ?? ""
        #expect(key.hasPrefix("${JWT_KEY:?"), "no key is written down")
    }

    @Test func whatIsMountedAndNamedIsThere() throws {
        let volumes = Set(try #require(try Self.yaml("compose.yaml")["volumes"]?.mapping).compactMap(\.key.string))
        let services = try Self.services()
        for (name, service) in services {
            for volume in service["volumes"]?.array().compactMap(\.string) ?? [] {
                let source = volume.prefix { $0 != ":" }
                guard source.hasPrefix("./") else {
                    #expect(volumes.contains(String(source)), "\(name): no volume \(source)")
                    continue
                }
                let path = Self.root.appending(path: String(source.dropFirst(2))).path
                #expect(FileManager.default.fileExists(atPath: path), "\(name): \(source) is not there")
                #expect(volume.hasSuffix(":ro"), "\(name) could write \(source)")
            }
            let needed = service["depends_on"]
            let names = needed?.mapping?.compactMap(\.key.string) ?? needed?.array().compactMap(\.string) ?? []
            for other in names { #expect(services[other] != nil, "\(name) waits for \(other)") }
            for other in needed?.mapping?.compactMap(\.key.string) ?? [] {
                #expect(
                    services[other]?["healthcheck"] != nil,
                    "\(name) waits for \(other), which never says it is well"
                )
            }
        }
    }

    /// The sample that fills the second dashboard, from the file that PostgreSQL's container runs at its first start.
    @Test func theAnalyticsRunOverTheSample() throws {
        let postgres = try TestPostgres.shared()
        let (shop, warehouse) = (try postgres.freshDatabase(), try postgres.freshDatabase())
        let script = try Self.text("config/compose/analytics.sql")
        let parts = script.split(separator: "\\connect shop\n")
        #expect(parts.count == 2 && parts[0].contains("CREATE DATABASE warehouse;\nCREATE DATABASE shop;"))
        try postgres.psql(shop, String(try #require(parts.last)))
        let given = try #require(try Self.services()["tallyman"]?["environment"])
        let settings = [
            "ANALYTICS_SOURCE_URL": shop, "ANALYTICS_WAREHOUSE_URL": warehouse,
            "ENABLE_V1_SCHEMA": given["ENABLE_V1_SCHEMA"]?.string ?? "",
            "ENABLE_LEGACY_ETL": given["ENABLE_LEGACY_ETL"]?.string ?? "",
            "PII_TOKEN_KEY": given["PII_TOKEN_KEY"]?.string ?? "",
        ]
        for command in [["migrate", "up"], ["run", "analytics", "--all", "--days-back", "3"]] {
            let ended = try TallymanBinary.run(command, settings)
            #expect(ended.exit == .code(0), "\(command): \(ended.errorText)")
        }
        let days = try postgres.psql(
            warehouse,
            "SELECT count(*) FROM analytics.daily_kpis WHERE registrations > 0 AND orders > 0 AND revenue > 0"
        )
        #expect((Int(days.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0) >= 3, "\(days)")
    }

    @Test func prometheusAndGrafanaFindEachOther() throws {
        let scrapes = try Self.yaml("config/prometheus/prometheus.yml")
        #expect(scrapes["scrape_configs"]?[0]?["static_configs"]?[0]?["targets"]?[0]?.string == "tallyman:4000")
        #expect(scrapes["rule_files"]?[0]?.string == "rules.yml")
        let source = try Self.yaml("grafana/provisioning/datasources/prometheus.yaml")["datasources"]?[0]
        #expect(source?["url"]?.string == "http://prometheus:9090")
        let provider = try Self.yaml("grafana/provisioning/dashboards/tallyman.yaml")["providers"]?[0]
        let folder = try #require(provider?["options"]?["path"]?.string)
        let shown = try Self.services()["grafana"]?["volumes"]?.array().compactMap(\.string) ?? []
        #expect(shown.contains("./grafana/dashboard.json:\(folder)/tallyman.json:ro"))
        #expect(shown.contains("./grafana/analytics.json:\(folder)/analytics.json:ro"))
        let warehouse = try Self.yaml("grafana/provisioning/datasources/warehouse.yaml")["datasources"]?[0]
        let given = try Self.services()["tallyman"]?["environment"]
        let url = given?["ANALYTICS_WAREHOUSE_URL"]?.string ?? ""
        let database = try #require(warehouse?["jsonData"]?["database"]?.string)
        let user = try #require(warehouse?["user"]?.string)
        let password = try #require(warehouse?["secureJsonData"]?["password"]?.string)
        let place = try #require(warehouse?["url"]?.string)
        #expect(url == "postgresql://\(user):\(password)@\(place)/\(database)")
        let home = try Self.services()["grafana"]?["environment"]?["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]?.string
        #expect(home == "\(folder)/tallyman.json")
        let judged = try Self.services()["prometheus"]?["volumes"]?.array().compactMap(\.string) ?? []
        #expect(judged.contains("./k8s/prometheus-rules.yml:/etc/prometheus/rules.yml:ro"))
    }
}
