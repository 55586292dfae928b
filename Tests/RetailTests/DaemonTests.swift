import Foundation
import HTTPClient
import Retail
import RetailMock
import Runtime
import TestKit
import Testing

/// The built daemon with the retail job: its metrics and pages, the sample source it brings, the DAGs that drive it.
@Suite(.serialized) struct DaemonTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Where a child says that it serves; it logs the port it took.
    private static func base(_ child: ChildProcess) async throws -> URL {
        try await child.waitForText("listening host=")
        let text = child.progress.value.outputText + child.progress.value.errorText
        let line = text.split(separator: "\n").first { $0.contains("listening") && $0.contains("port=") }
        let port = line?.split(separator: " ").last { $0.hasPrefix("port=") }?.dropFirst(5) ?? ""
        guard let url = URL(string: "http://127.0.0.1:\(port)") else { throw TestServiceMissing("no port: \(text)") }
        return url
    }

    private static func get(_ url: URL, key: String? = nil) async throws -> OutboundResponse {
        try await URLSessionTransport(userAgent: "tests").send(
            OutboundRequest(.get, url, secretHeaders: key.map { ["Authorization": Secret($0)] } ?? [:])
        )
    }

    private static func serve(_ bench: RetailBench, _ source: URL) throws -> ChildProcess {
        var settings = bench.environment(source)
        settings["PORT"] = "0"
        settings["ENABLE_SCHEDULER"] = "false"
        settings["LOG_LEVEL"] = "info"
        return try TallymanBinary.start(["serve"], settings)
    }

    @Test func theSampleSourceAsksForItsKeyAndTellsTheSameStory() async throws {
        let arguments = ["mock-api", "--retail", "--port", "0", "--days", "1", "--seed", "5"]
        var stories: [[UInt8]] = []
        for _ in 0..<2 {
            let child = try TallymanBinary.start(arguments, ["LOG_FORMAT": "text"])
            let base = try await Self.base(child)
            #expect(try await Self.get(base.appending(path: "customers")).status == 401)
            let page = try #require(URL(string: "\(base)/sales?start_sales_id=10&limit=3"))
            let answer = try await Self.get(page, key: "sample")
            #expect(answer.status == 200)
            #expect(SourceAnswer.ids(answer.body).count == 3)
            stories.append(answer.body)
            child.signal(SIGTERM)
            #expect(try await child.wait() == .code(0))
        }
        #expect(SourceAnswer.ids(stories[0]) == SourceAnswer.ids(stories[1]), "by seed and time")
        let unsaid = try TallymanBinary.run(["mock-api"])
        #expect(unsaid.exit == .code(2), "it asks which one")
    }

    @Test func metricsTellRowsBytesLagAndFreshness() async throws {
        let bench = try await RetailBench(sales: 120)
        try await bench.serving { source in
            let daemon = try Self.serve(bench, source)
            let base = try await Self.base(daemon)
            let transport = URLSessionTransport(userAgent: "tests")
            for stage in ["bronze", "silver"] {
                let answer = try await transport.send(
                    OutboundRequest(
                        .post,
                        base.appending(path: "api/etl/jobs/retail/run"),
                        headers: ["Content-Type": "application/json"],
                        body: Array("{\"stage\":\"\(stage)\"}".utf8)
                    )
                )
                #expect(answer.status == 200, "\(String(decoding: answer.body, as: UTF8.self))")
                guard stage == "bronze" else { continue }
                let page = String(decoding: try await Self.get(base.appending(path: "metrics")).body, as: UTF8.self)
                let waits = "etl_sales_id_lag_ids{source=\"retail\"} \(bench.lastID)"
                #expect(page.contains(waits), "what waits is shown")
                let other = try Self.serve(bench, source)
                let metrics = try await Self.base(other).appending(path: "metrics")
                try await Eventually.holds("a replica that ran nothing tells of it too") {
                    String(decoding: try await Self.get(metrics).body, as: UTF8.self).contains(waits)
                }
                other.signal(SIGTERM)
                #expect(try await other.wait() == .code(0))
            }
            let page = String(decoding: try await Self.get(base.appending(path: "metrics")).body, as: UTF8.self)
            func value(_ start: String) -> Double? {
                page.split(separator: "\n").first { $0.hasPrefix(start) }?.split(separator: " ").last
                    .flatMap { Double($0) }
            }
            let lines = Double(bench.books.lines)
            for stage in ["bronze", "silver"] {
                let name = "etl_rows_processed_total{source=\"retail_\(stage)\",table=\"sales_product\"}"
                #expect(value(name) == lines, "\(name)")
            }
            let bytes = try bench.ask("SELECT bytes FROM meta.bronze_files WHERE entity = 'products'")
            #expect(value("etl_bronze_bytes_total{table=\"products\"}") == Double(bytes))
            #expect(value("etl_sales_id_lag_ids{source=\"retail\"}") == 0)
            let fresh = try bench.ask(
                "SELECT extract(epoch FROM created_at) FROM meta.bronze_files WHERE entity = 'customers'"
            )
            let shown = value("etl_table_fresh_timestamp_seconds{source=\"retail\",table=\"customers\"}") ?? 0
            #expect(abs(shown - (Double(fresh) ?? -1)) < 1, "\(shown) \(fresh)")
            #expect(try await Self.get(base.appending(path: "docs/retail")).status == 404, "not built yet")
            daemon.signal(SIGTERM)
            #expect(try await daemon.wait() == .code(0))
        }
        await bench.close()
    }

    @Test(.enabled(if: GoldTests.canBuild, "TEST_DBT names no dbt; bin/test sets it"))
    func docsBuildsThePageThatTheDaemonShows() async throws {
        let bench = try await RetailBench(sales: 20)
        try await bench.serving { source in
            try await bench.load(source)
            let built = try TallymanBinary.run(["docs", "--json"], bench.environment(source))
            #expect(built.exit == .code(0), "\(built.errorText)")
            let daemon = try Self.serve(bench, source)
            let answer = try await Self.get(try await Self.base(daemon).appending(path: "docs/retail"))
            let page = String(decoding: answer.body, as: UTF8.self)
            #expect(answer.status == 200)
            for text in [
                "mart_sales_by_customer", "Who bought; `unknown` for sales without a customer.", "Retail dashboard",
            ] {
                #expect(page.contains(text), "\(text)")
            }
            let policy = answer.headers["content-security-policy"] ?? ""
            #expect(policy.contains("sandbox") && !policy.contains("allow-same-origin") && policy.contains("'none'"))
        }
        await bench.close()
    }

    /// Their syntax and shape, by any Python.
    @Test func theDAGsAreWellFormed() throws {
        let script = Self.root.appending(path: "bin/lib/validate_dags.py").path
        let ended = try ChildProcess.run(Self.environment["TEST_PYTHON"] ?? "python3", [script])
        #expect(ended.exit == .code(0), "\(ended.errorText)")
        #expect(ended.outputText.contains("6 DAGs are well formed"))
    }

    /// The long form: loads all DAGs in the Airflow whose Python `TEST_AIRFLOW` names and runs one against the daemon,
    /// twice for one data interval, which must start each stage once.
    @Test(.enabled(if: environment["TEST_AIRFLOW"] != nil && GoldTests.canBuild, "TEST_AIRFLOW names no Airflow"))
    func airflowLoadsTheDAGsAndRunsOne() async throws {
        let python = try #require(Self.environment["TEST_AIRFLOW"])
        let bench = try await RetailBench(sales: 60)
        try await bench.serving { source in
            let daemon = try Self.serve(bench, source)
            let base = try await Self.base(daemon)
            let home = bench.folder + "-airflow"
            defer { try? FileManager.default.removeItem(atPath: home) }
            var settings = Self.environment
            settings["AIRFLOW_HOME"] = home
            settings["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
            settings["AIRFLOW__CORE__DAGS_FOLDER"] = Self.root.appending(path: "airflow/dags").path
            settings["AIRFLOW__CORE__PLUGINS_FOLDER"] = Self.root.appending(path: "airflow/plugins").path
            settings["AIRFLOW_CONN_TALLYMAN"] = base.absoluteString
            settings["PYTHONDONTWRITEBYTECODE"] = "1"
            let prepared = try ChildProcess.run(python, ["-m", "airflow", "db", "migrate"], environment: settings)
            #expect(prepared.exit == .code(0), "\(prepared.errorText)")
            let script = Self.root.appending(path: "bin/lib/validate_dags.py").path
            let ran = try ChildProcess(
                python,
                [script, "--run", "retail_etl_hourly", "--again"],
                environment: settings
            )
            ran.closeInput()
            #expect(
                try await ran.wait(within: .seconds(400)) == .code(0),
                "\(ran.progress.value.errorText.suffix(3_000))"
            )
            let output = ran.progress.value.outputText
            #expect(output.contains("6 DAGs load in Airflow") && output.contains("retail_etl_hourly succeeded"))
            let stages = "SELECT string_agg(options->>'stage' || ' ' || state, ',' ORDER BY queued_at) FROM etl.runs"
            #expect(try bench.ask(stages) == "bronze succeeded,silver succeeded,gold succeeded", "each stage once")
            try GoldTests.compare(bench, 1)
        }
        await bench.close()
    }
}

/// The ids within an answer of `/sales`.
private enum SourceAnswer {
    struct Page: Decodable {
        struct Sale: Decodable { let id: Int }
        let items: [Sale]
    }

    static func ids(_ body: [UInt8]) -> [Int] {
        ((try? JSONDecoder().decode(Page.self, from: Data(body)))?.items ?? []).map(\.id)
    }
}
