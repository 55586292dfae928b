import Engine
import Foundation
import Retail
import Runtime
import TestKit
import Testing

/// A source that gives what nobody should: ids without measure, lines that are none.
@Suite struct SourceTests {
    private static func sale(_ id: Int64, items: String = "") -> String {
        "{\"id\": \(id), \"datetime\": \"2026-01-01T00:00:00Z\", \"total_amount\": 2, \"items\": [\(items)]}"
    }

    /// One wild id would move the position beyond every real one, and the feed would stop without a word.
    @Test(arguments: [false, true])
    func anIDFarAheadHaltsTheRun(dryRun: Bool) async throws {
        let bench = try await RetailBench(sales: 1)
        let pages = [Self.sale(5) + "," + Self.sale(6), Self.sale(7) + "," + Self.sale(5_000_000_000)]
        try await bench.serving(sales: pages) { base in
            let halted = try await bench.run(base, options: .stage("bronze", dryRun: dryRun))
            #expect(halted.error?.kind == TallyError.Kind.changeImplausible.rawValue, "\(String(describing: halted))")
            #expect(halted.error?.summary.contains("sale 5000000000 right after sale 7") == true)
            #expect(halted.error?.remedy?.contains("SALES_ID_GAP_MAX") == true)
        }
        #expect(try bench.ask("SELECT count(*) FROM etl.watermarks") == "0")
        #expect(bench.files().isEmpty)
        guard !dryRun else { return await bench.close() }
        try await bench.serving(sales: pages) { base in
            var settings = bench.settings()
            settings.idGapMax = 10_000_000_000
            let believed = try await bench.run(base, settings, options: .stage("bronze"))
            #expect(believed.state == .succeeded)
            #expect(try bench.ask("SELECT cursor_id FROM etl.watermarks") == "5000000000", "it was said to be right")
        }
        await bench.close()
    }

    /// Its first id may be any: only what follows can be judged by it.
    @Test func aSourceMayBeginHigh() async throws {
        let bench = try await RetailBench(sales: 1)
        try await bench.serving(sales: [Self.sale(7_000_000_000) + "," + Self.sale(7_000_000_001)]) { base in
            let record = try await bench.run(base, options: .stage("bronze"))
            #expect(record.state == .succeeded)
            #expect(try bench.ask("SELECT cursor_id FROM etl.watermarks") == "7000000001")
        }
        await bench.close()
    }

    /// Nothing can be asked for behind it; adding one would end the process.
    @Test func theHighestIDThereIsEndsTheRunAndNotTheDaemon() async throws {
        let bench = try await RetailBench(sales: 1)
        for dryRun in [false, true] {
            try await bench.serving(sales: [Self.sale(.max)]) { base in
                let record = try await bench.run(base, options: .stage("bronze", dryRun: dryRun))
                #expect(record.error?.kind == TallyError.Kind.protocolViolation.rawValue)
            }
        }
        _ = try bench.ask("INSERT INTO meta.ingestion_state VALUES ('sales', \(Int64.max), now(), 'old')")
        try await bench.serving(sales: []) { base in
            let record = try await bench.run(base, options: .stage("bronze"))
            #expect(record.error?.kind == TallyError.Kind.protocolViolation.rawValue)
        }
        await bench.close()
    }

    /// INV-5: what is no line of a sale is no row of NULLs either.
    @Test func malformedLinesBecomeDeadLetters() async throws {
        let bench = try await RetailBench(sales: 1)
        let items = #"{"product_sku": "A", "quantity": 1, "amount": 2, "note": "gift"}, null, 5, {}, {"sku": "B"}"#
        try await bench.serving(sales: [Self.sale(5, items: items)]) { base in
            let records = try await bench.load(base)
            #expect(records.map(\.state) == [.succeeded, .partial], "\(records.map(\.error))")
        }
        #expect(try bench.ask("SELECT sale_id, product_sku, quantity, amount FROM silver.sales_product") == "5|A|1|2")
        #expect(try bench.ask("SELECT _line_count FROM silver.sales_customer") == "5", "none is forgotten")
        #expect(try bench.ask("SELECT count(*), min(columns::text) FROM etl.dead_letters") == "4|{_raw}")
        let path = try #require(bench.files().first { $0.hasPrefix("sales_product") })
        let kept = try String(contentsOfFile: bench.folder + "/" + path, encoding: .utf8)
        for part in [#""_raw":null"#, #""_raw":5"#, #""_raw":{}"#, #""_raw":{"sku":"B"}"#, #""note":"gift""#] {
            #expect(kept.contains(part), "bronze keeps it: \(part)")
        }
        await bench.close()
    }

    /// An operator asks for a letter again: its file is read once more, and once only.
    @Test func aDeadLetterIsTriedAgainWhenAskedFor() async throws {
        let bench = try await RetailBench(sales: 1)
        try bench.put(.products, stamp: "20260101_000000", [#"{"product_sku":["A"]}"#])
        try await bench.serving(sales: []) { base in
            let records = try await bench.load(base)
            #expect(records[1].state == .partial)
            let letter = "SELECT occurrences FROM etl.dead_letters WHERE resolved_at IS NULL"
            #expect(try await bench.run(base, options: .stage("silver")).state == .succeeded, "nothing waits")
            #expect(try bench.ask(letter) == "1")
            let store = DeadLetterStore([(role: "warehouse", pool: bench.pool)])
            #expect(try await store.retry(id: nil, job: "retail") == 1)
            #expect(try await bench.run(base, options: .stage("silver")).state == .partial)
            #expect(try bench.ask(letter) == "2")
            #expect(try await bench.run(base, options: .stage("silver")).state == .succeeded)
            #expect(try bench.ask(letter) == "2")
        }
        await bench.close()
    }

    /// Read and total are of one run over all its stages.
    @Test func progressCountsOverAllStages() async throws {
        let bench = try await RetailBench(sales: 60)
        var gold = bench.gold
        gold.executable = "/nowhere/dbt"
        try await bench.serving { base in
            let record = try await bench.run(base, gold: gold)
            #expect(record.error?.summary == "dbt is not installed", "bronze and silver have run")
            let shown = try bench.ask("SELECT progress->>'read', progress->>'total' FROM etl.runs")
            let parts = shown.split(separator: "|")
            #expect(parts.count == 2 && parts.first == parts.last, "\(shown)")
        }
        await bench.close()
    }
}
