import Crypto
import Foundation
import Postgres
import Runtime
import TestKit
import Testing

/// The built binary with `MOCK=1`, over HTTP against its own mock, and with recorded files.
@Suite(.serialized) struct BinaryTests {
    private static func environment() throws -> (url: String, variables: [String: String]) {
        let url = try TestPostgres.shared().freshDatabase()
        return (url, ["DATABASE_URL": url, "LOG_LEVEL": "error", "ACCOUNT_ID": "acme"])
    }

    private static func counts(_ output: String) throws -> [String: Int] {
        let answer = try JSONDecoder().decode(JSONValue.self, from: Data(output.utf8))
        return answer["run"]?["summary"]?["counts"]?.object?.compactMapValues(\.int) ?? [:]
    }

    @Test func withMockBothJobsRunOnADatabaseAlone() async throws {
        var (url, environment) = try Self.environment()
        environment["MOCK"] = "1"
        #expect(try TallymanBinary.run(["migrate", "up"], environment).exit == .code(0))
        let until = ["--until", "2026-01-20T00:00:00Z"]
        for job in ["shopify", "amazon"] {
            let dry = try TallymanBinary.run(["run", job, "--dry-run", "--json"] + until, environment)
            #expect(dry.exit == .code(0), "\(dry.errorText)")
            #expect(try Self.counts(dry.outputText)["changed"] ?? 0 > 500)
            let first = try TallymanBinary.run(["run", job, "--json"] + until, environment)
            #expect(first.exit == .code(0), "\(first.errorText)")
            let again = try TallymanBinary.run(["run", job, "--json", "--full"] + until, environment)
            #expect(again.exit == .code(0), "\(again.errorText)")
            #expect(try Self.counts(again.outputText)["changed"] == 0, "two pulls until one instant see the same")
        }
        let filled = "SELECT count(DISTINCT marketplace) FROM "
        for table in ["product", "listing", "sales_ts", "fees_ts"] {
            #expect(try TestPostgres.shared().psql(url, filled + table) == "2\n", "\(table)")
        }
        let unknown = try TallymanBinary.run(["run", "shopify", "--pipeline", "nothing"], environment)
        #expect(unknown.exit != .code(0))
    }

    /// The process is killed inside and beside the transactions of its pages; the next run goes on and ends in the
    /// tables of one that nobody killed (INV-1, INV-7).
    @Test func killedAtAnyPageTheNextRunGoesOn() async throws {
        var tables: [String] = []
        let kills = [
            "write.afterFence:2", "write.afterCommit:2", "write.afterCommit:3", "write.afterCommit:4",
            "write.beforeCommit:4", "marketplace.page:3",
        ]
        for points in [[], kills] {
            var (url, environment) = try Self.environment()
            environment["MOCK"] = "1"
            #expect(try TallymanBinary.run(["migrate", "up"], environment).exit == .code(0))
            for job in ["shopify", "amazon"] {
                let run = ["run", job, "--until", "2026-01-20T00:00:00Z"]
                for point in points {
                    environment["TALLYMAN_FAILPOINT"] = point
                    let died = try TallymanBinary.run(run, environment)
                    #expect(died.exit == .signal(9), "\(job) \(point): \(died.errorText)")
                }
                environment["TALLYMAN_FAILPOINT"] = nil
                let last = try TallymanBinary.run(run, environment)
                #expect(last.exit == .code(0), "\(job): \(last.errorText)")
            }
            let bench = try await PullBench(url: url)
            tables.append(try bench.tables())
            await bench.pool.close()
        }
        #expect(tables[0] == tables[1])
    }

    @Test func overHTTPThePullSurvivesFaultsAndThrottling() async throws {
        var (url, environment) = try Self.environment()
        #expect(try TallymanBinary.run(["migrate", "up"], environment).exit == .code(0))
        let port = "\(try FreePort.find())"
        let mock = try TallymanBinary.start(
            [
                "mock-api", "--marketplaces", "--port", port, "--seconds-per-order", "120000", "--fault-percent", "20",
                "--rate", "5000", "--burst", "2000",
            ],
            ["LOG_LEVEL": "error"]
        )
        defer { mock.signal(15) }
        try #require(mock.progress.waitBlocking(within: .seconds(60)) { $0.errorText.contains("serving") })
        environment["SHOPIFY_SHOP"] = "tally-demo"
        environment["SHOPIFY_CLIENT_ID"] = "app"
        environment["SHOPIFY_CLIENT_SECRET"] = "hush"
        environment["SHOPIFY_API_URL"] = "http://127.0.0.1:\(port)"
        environment["AMAZON_LWA_CLIENT_ID"] = "app"
        environment["AMAZON_LWA_CLIENT_SECRET"] = "hush"
        environment["AMAZON_REFRESH_TOKEN"] = "Atzr|first"
        environment["AMAZON_SELLER_ID"] = "A0MOCKSELLER"
        environment["AMAZON_API_URL"] = "http://127.0.0.1:\(port)"
        for job in ["shopify", "amazon"] {
            let run = try TallymanBinary.run(["run", job, "--json"], environment)
            #expect(run.exit == .code(0), "\(run.errorText) \(run.outputText)")
            #expect(!run.outputText.contains("hush") && !run.errorText.contains("hush"))
        }
        let lines = "SELECT count(*) > 100 FROM marketplace.order_lines WHERE source = 'amazon'"
        #expect(try TestPostgres.shared().psql(url, lines) == "t\n")
    }

    @Test func theDaemonTakesSignedWebhooksAndServesMetricsApart() async throws {
        var (url, environment) = try Self.environment()
        let (port, metrics) = (try FreePort.find(), try FreePort.find())
        environment["SHOPIFY_SHOP"] = "tally-demo"
        environment["SHOPIFY_CLIENT_ID"] = "app"
        environment["SHOPIFY_CLIENT_SECRET"] = "hush"
        environment["ENABLE_SCHEDULER"] = "false"
        environment["PORT"] = "\(port)"
        environment["METRICS_PORT"] = "\(metrics)"
        environment["LOG_LEVEL"] = "info"
        let daemon = try TallymanBinary.start(["serve", "--migrate"], environment)
        defer { daemon.signal(15) }
        let listening = daemon.progress.waitBlocking(within: .seconds(60)) {
            $0.errorText.components(separatedBy: "listening").count > 2
        }
        try #require(listening, "\(daemon.progress.value.errorText)")
        let body = #"{"id":42}"#
        let code = HMAC<SHA256>.authenticationCode(for: Array(body.utf8), using: SymmetricKey(data: Array("hush".utf8)))
        func deliver(_ signature: String) throws -> String {
            let now = Date().formatted(.iso8601)
            let ended = try ChildProcess.run(
                "curl",
                [
                    "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST",
                    "http://127.0.0.1:\(port)/hooks/shopify", "-d", body, "-H", "Content-Type: application/json",
                    "-H", "X-Shopify-Topic: orders/updated", "-H", "X-Shopify-Shop-Domain: tally-demo.myshopify.com",
                    "-H", "X-Shopify-Webhook-Id: w1", "-H", "X-Shopify-Triggered-At: \(now)", "-H",
                    "X-Shopify-Hmac-SHA256: \(signature)",
                ]
            )
            return ended.outputText
        }
        #expect(try deliver(Data(code).base64EncodedString()) == "200")
        #expect(try deliver(Data(code).base64EncodedString()) == "200", "repeated")
        #expect(try deliver(Data(repeating: 0, count: 32).base64EncodedString()) == "401")
        #expect(
            try TestPostgres.shared().psql(url, "SELECT object_id FROM marketplace.notices")
                == "gid://shopify/Order/42\n"
        )
        let page = try ChildProcess.run("curl", ["-s", "http://127.0.0.1:\(metrics)/metrics"]).outputText
        #expect(page.contains("etl_uptime_seconds"))
        let other = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:\(metrics)/api/etl/status"]
        #expect(try ChildProcess.run("curl", other).outputText == "404")
    }
}
