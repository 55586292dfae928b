import Engine
import Foundation
import Retail
import RetailMock
import Runtime
import TestKit
import Testing

/// The whole path: sample API over a socket, bronze files, silver in a real PostgreSQL.
@Suite struct PipelineTests {
    @Test(arguments: BronzeCompression.allCases)
    func allPagesReachSilverWithEveryCent(compression: BronzeCompression) async throws {
        let bench = try await RetailBench()
        try await bench.serving { base in
            let records = try await bench.load(base, bench.settings(compression: compression))
            #expect(records.map(\.state) == [.succeeded, .succeeded], "\(records.map(\.error))")
            let books = bench.books
            #expect(books.sales > 250, "more than one page of 50")
            let sums = try bench.ask(
                """
                SELECT (SELECT count(*) FROM silver.sales_customer), count(*), sum(quantity), round(sum(amount), 2),
                    (SELECT round(sum(total_amount), 2) FROM silver.sales_customer) FROM silver.sales_product
                """
            )
            let amount = ShopBooks.text(books.cents)
            #expect(sums == "\(books.sales)|\(books.lines)|\(books.quantity)|\(amount)|\(amount)")
            #expect(
                try bench.ask("SELECT count(*) FROM silver.customers, LATERAL unnest(emails)")
                    == "\((0..<40).map { bench.shop.customer($0).emails.count }.reduce(0, +))"
            )
            #expect(
                try bench.ask("SELECT description FROM silver.products WHERE product_sku = 'SKU-102'")
                    == bench.shop.product(2).description
            )
            #expect(try bench.ask("SELECT last_sales_id, note FROM meta.ingestion_state") == "\(bench.lastID)|tallyman")
            let manifest = try bench.ask("SELECT path FROM meta.bronze_files ORDER BY path")
            #expect(manifest == bench.files().joined(separator: "\n"), "a line for each file")
            let ending = [BronzeCompression.none: ".ndjson", .gzip: ".gz", .zstd: ".zst"][compression] ?? "?"
            #expect(bench.files().allSatisfy { $0.hasSuffix(ending) })
        }
        await bench.close()
    }

    @Test func editsOfOldSalesArrive() async throws {
        let bench = try await RetailBench(sales: 120, editDelay: 3 * 3_600)
        try await bench.serving { base in
            try await bench.load(base)
            let before = bench.books
            #expect(try bench.ask("SELECT count(*) FROM silver.sales_product") == "\(before.lines)")
            bench.pass(seconds: 4 * 3_600)
            let records = try await bench.load(base)
            #expect(records.map(\.state) == [.succeeded, .succeeded], "\(records.map(\.error))")
            let books = bench.books
            let amount = ShopBooks.text(books.cents)
            #expect(
                try bench.ask("SELECT count(*), sum(quantity), round(sum(amount), 2) FROM silver.sales_product")
                    == "\(books.lines)|\(books.quantity)|\(amount)",
                "edited, added and removed lines"
            )
            let orphans =
                "SELECT count(*) FROM silver.sales_product l WHERE line_no > (SELECT _line_count "
                + "FROM silver.sales_customer WHERE id = l.sale_id)"
            #expect(try bench.ask(orphans) == "0")
        }
        await bench.close()
    }

    /// Only what is within the lookback is read again.
    @Test func theLookbackBoundsWhatIsReadAgain() async throws {
        let bench = try await RetailBench(sales: 200)
        try await bench.serving { base in
            try await bench.load(base, bench.settings(lookback: 20))
            _ = try await bench.run(base, bench.settings(lookback: 20), options: .stage("bronze"))
            let row = "SELECT first_id, records FROM meta.bronze_files WHERE entity = 'sales_customer' ORDER BY id DESC"
            let last = try bench.ask(row + " LIMIT 1").split(separator: "|").compactMap { Int($0) }
            #expect(last[0] >= 181 && last[0] < 190 && last[1] <= 20, "\(last)")
        }
        await bench.close()
    }

    /// Lines come in another order each time; unchanged rows are not written.
    @Test func aSecondRunOfTheSameWritesNoRow() async throws {
        let bench = try await RetailBench(sales: 150)
        try await bench.serving { base in
            try await bench.load(base)
            let before = try bench.ask(
                "SELECT sum(xmin::text::bigint), sum(hashtext(ctid::text)) FROM silver.sales_product"
            )
            let silver = try bench.silver(bookkeeping: true)
            let records = try await bench.load(base)
            #expect(records[1].summary?["counts"]?["silverWritten"]?.int == 0)
            #expect(try bench.silver(bookkeeping: true) == silver)
            #expect(
                try bench.ask("SELECT sum(xmin::text::bigint), sum(hashtext(ctid::text)) FROM silver.sales_product")
                    == before
            )
        }
        await bench.close()
    }

    @Test func aReplayFromBronzeEqualsTheLivePath() async throws {
        let bench = try await RetailBench(sales: 120, editDelay: 3 * 3_600)
        try await bench.serving { base in
            try await bench.load(base)
            bench.pass(seconds: 4 * 3_600)
            try await bench.load(base, bench.settings(compression: .zstd))
        }
        let live = try bench.silver(bookkeeping: true)
        let nowhere = try #require(URL(string: "http://127.0.0.1:9"))
        let replay = RunOptions.stage("silver", fromBronze: "2020-01-01")
        // Onto what is there, then onto nothing: without the source both times.
        #expect(try await bench.run(nowhere, options: replay).state == .succeeded)
        #expect(try bench.silver(bookkeeping: true) == live)
        _ = try bench.ask("TRUNCATE silver.customers, silver.products, silver.sales_customer, silver.sales_product")
        #expect(try await bench.run(nowhere, options: replay).state == .succeeded)
        #expect(try bench.silver(bookkeeping: true) == live)
        await bench.close()
    }

    @Test func aDryRunComparesAndWritesNothing() async throws {
        let bench = try await RetailBench(sales: 100)
        try await bench.serving { base in
            let record = try await bench.run(base, options: .stage("bronze", dryRun: true))
            #expect(record.state == .succeeded, "\(String(describing: record.error))")
            let books = bench.books
            #expect(record.summary?["counts"]?["new"]?.int == books.sales + books.lines + 40 + 25)
            #expect(bench.files().isEmpty)
            #expect(try bench.ask("SELECT count(*) FROM meta.bronze_files") == "0")
            #expect(try bench.ask("SELECT count(*) FROM etl.watermarks") == "0")
            _ = try await bench.run(base, options: .stage("bronze"))
            let files = try await bench.run(base, options: .stage("silver", dryRun: true))
            #expect(files.summary?["counts"]?["new"]?.int == books.sales + books.lines + 40 + 25)
            #expect(try bench.ask("SELECT count(*) FROM silver.products") == "0")
            _ = try await bench.run(base, options: .stage("silver"))
            let again = try await bench.run(base, options: .stage("bronze", dryRun: true))
            #expect(again.summary?["counts"]?["new"]?.int == 0)
            #expect(again.summary?["counts"]?["changed"]?.int == 0)
        }
        await bench.close()
    }

    @Test func badOptionsAreRefused() async throws {
        let bench = try await RetailBench(sales: 5)
        let nowhere = try #require(URL(string: "http://127.0.0.1:9"))
        for options in [
            RunOptions.stage("platinum"), .stage("silver", fromBronze: "yesterday"),
            .stage("gold", fromBronze: "2026-01-01"), .stage("silver", fromBronze: "2026-02-30"),
        ] {
            let record = try await bench.run(nowhere, options: options)
            #expect(record.error?.kind == TallyError.Kind.requestInvalid.rawValue, "\(options)")
        }
        await bench.close()
    }
}
