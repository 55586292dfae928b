import Foundation
import Retail
import TestKit
import Testing

/// What the dbt project promises beside its models: every column is described, and stale sources are noticed.
@Suite struct DBTProjectTests {
    private static func text(_ path: String) -> String {
        DBTProject.files.first { $0.path == path }.map { String(decoding: $0.bytes, as: UTF8.self) } ?? ""
    }

    @Test(arguments: [
        ("core", "dim_customer"), ("core", "dim_product"), ("core", "sales_item"), ("mart", "mart_sales_by_customer"),
    ])
    func everyColumnIsDescribed(layer: String, model: String) throws {
        let list = try #require(
            Self.text("models/\(layer)/\(model).sql").matches(of: #/changed_rows\([^\[]*\[([^\]]*)\]/#).last
        )
        let columns = list.output.1.matches(of: #/'(\w+)'/#).map { String($0.output.1) }
        #expect(columns.count >= 4)
        let document = Self.text("models/\(layer)/\(layer).yml")
        let start = try #require(document.range(of: "  - name: \(model)\n"))
        let rest = document[start.upperBound...]
        let section = rest.range(of: "\n  - name: ").map { rest[..<$0.lowerBound] } ?? rest
        let described = section.matches(of: #/      - name: (\w+)\n        description: \S/#).map {
            String($0.output.1)
        }
        #expect(Set(described) == Set(columns), "\(model)")
        #expect(section.hasPrefix("    description: "), "the model itself")
    }

    @Test(.enabled(if: GoldTests.canBuild, "TEST_DBT names no dbt; bin/test sets it"))
    func staleSourcesAreNoticed() async throws {
        let bench = try await RetailBench(sales: 20)
        try await bench.serving { base in _ = try await bench.load(base) }
        let place = bench.folder + "-freshness"
        defer { try? FileManager.default.removeItem(atPath: place) }
        for file in DBTProject.files {
            let path = URL(filePath: place + "/" + file.path)
            try FileManager.default.createDirectory(
                at: path.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try Data(file.bytes).write(to: path)
        }
        let url = try #require(URLComponents(string: bench.url))
        let profile = """
            retail:
              target: warehouse
              outputs:
                warehouse: {type: postgres, host: "\(url.host ?? "")", port: \(url.port ?? 5432),
                            user: "\(url.user ?? "")", password: "",
                            dbname: "\(url.path.dropFirst())", schema: gold, threads: 1}

            """
        try Data(profile.utf8).write(to: URL(filePath: place + "/profiles.yml"))
        func freshness() async throws -> ChildProcess.Progress {
            let child = try ChildProcess(
                bench.gold.executable,
                ["source", "freshness", "--project-dir", place, "--profiles-dir", place],
                environment: GoldTests.environment.merging(["DBT_LOG_PATH": place + "/logs"]) { $1 }
            )
            child.closeInput()
            _ = try await child.wait(within: .seconds(120))
            return child.progress.value
        }
        let fresh = try await freshness()
        #expect(fresh.exit == .code(0), "\(fresh.outputText)")
        #expect(fresh.outputText.contains("PASS freshness of silver."), "\(fresh.outputText)")
        _ = try bench.ask("UPDATE meta.bronze_files SET created_at = created_at - interval '3 days'")
        let stale = try await freshness()
        #expect(stale.exit == .code(1), "\(stale.outputText)")
        await bench.close()
    }
}
