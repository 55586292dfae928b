import Engine
import Foundation
import Retail
import RetailMock
import Runtime
import TestKit
import Testing

/// What the source, the disk and the files may do wrong, and the faults of the service replaced.
@Suite struct FaultTests {
    /// Faults that pass: the run ends well, and the shop's books agree.
    @Test(arguments: [
        (MockFault.serverError, "sales"), (.truncated, "sales"), (.duplicatePage, "sales"), (.truncated, "customers"),
        (.serverError, "products"),
    ])
    func aPassingFaultIsTriedAgain(fault: MockFault, path: String) async throws {
        let bench = try await RetailBench(sales: 160)
        bench.faults.add(fault, path: path, times: 1, after: path == "sales" ? 2 : 0)
        try await bench.serving { base in
            let records = try await bench.load(base)
            #expect(records.map(\.state) == [.succeeded, .succeeded], "\(records.map(\.error))")
            #expect((records[0].summary?["retries"]?.int ?? 0) >= 1, "the fault was met")
            #expect(try bench.ask("SELECT count(*) FROM silver.sales_product") == "\(bench.books.lines)")
        }
        #expect(bench.faults.count == 0)
        await bench.close()
    }

    @Test func aSlowAnswerIsGivenUpAndAskedForAgain() async throws {
        let bench = try await RetailBench(sales: 60)
        bench.faults.add(.slow, path: "sales")
        try await bench.serving { base in
            let record = try await bench.run(base, options: .stage("bronze"), deadline: .seconds(2))
            #expect(record.state == .succeeded, "\(String(describing: record.error))")
            #expect(record.summary?["retries"]?.int == 1)
        }
        await bench.close()
    }

    @Test func aRefusedKeyStopsTheRunAtOnceAndSaysWhatToDo() async throws {
        let bench = try await RetailBench(sales: 60)
        try await bench.serving { base in
            let wrong = try await bench.run(base, key: "secret-but-wrong")
            #expect(wrong.state == .failed)
            #expect(wrong.error?.kind == TallyError.Kind.credentialsRejected.rawValue)
            #expect(wrong.error?.remedy?.contains("API_KEY") == true)
            #expect(!"\(wrong)".contains("secret-but-wrong"))
            bench.faults.add(.unauthorized, path: "sales", times: 1, after: 1)
            let midway = try await bench.run(base, options: .stage("bronze"))
            #expect(midway.error?.kind == TallyError.Kind.credentialsRejected.rawValue)
            #expect(bench.files().isEmpty, "what was begun is removed")
            let bearer = try await bench.run(base, options: .stage("bronze"), key: "Bearer key")
            #expect(bearer.state == .succeeded)
        }
        await bench.close()
    }

    /// Fault of the service replaced: only the newest file was loaded, older ones that failed were forgotten.
    @Test func everyFileThatWaitsIsLoadedInOrder() async throws {
        let bench = try await RetailBench(sales: 60)
        try await bench.serving { base in
            for _ in 0..<3 {
                _ = try await bench.run(base, bench.settings(lookback: 0), options: .stage("bronze"))
                bench.pass(seconds: 3_000)
            }
            #expect(try bench.ask("SELECT count(*) FROM meta.bronze_files WHERE loaded_at IS NULL") == "12")
            let silver = try await bench.run(base, options: .stage("silver"))
            #expect(silver.state == .succeeded)
            bench.pass(seconds: -3_000)
            #expect(try bench.ask("SELECT count(*) FROM silver.sales_customer") == "\(bench.books.sales)")
        }
        await bench.close()
    }

    @Test func aFileThatWasChangedIsNotLoaded() async throws {
        let bench = try await RetailBench(sales: 60)
        try await bench.serving { base in
            _ = try await bench.run(base, options: .stage("bronze"))
            let path = bench.folder + "/" + (try #require(bench.files().first { $0.hasPrefix("sales_product") }))
            let bytes = try #require(FileManager.default.contents(atPath: path))
            try bytes.dropLast(200).write(to: URL(filePath: path))
            let cut = try await bench.run(base, options: .stage("silver"))
            #expect(cut.error?.kind == TallyError.Kind.proofFailed.rawValue)
            #expect(try bench.ask("SELECT count(*) FROM silver.sales_product") == "0", "nothing of it stays")
            try bytes.write(to: URL(filePath: path))
            #expect(try await bench.run(base, options: .stage("silver")).state == .succeeded)
            #expect(try bench.ask("SELECT count(*) FROM silver.sales_product") == "\(bench.books.lines)")
        }
        await bench.close()
    }

    @Test func badLinesBecomeDeadLettersWithFileAndLine() async throws {
        let bench = try await RetailBench(sales: 5)
        let good =
            #"{"sale_id":9001,"line_no":1,"product_sku":"A","quantity":2,"amount":12345678901234567890.123456789,"#
            + #""_ingestion_ts":"2026-01-01T00:00:00Z","_batch_id":"6ba7b810-9dad-11d1-80b4-00c04fd430c8"}"#
        let lines = [
            good, "{\"sale_id\":2,", good.replacing("\"sale_id\":9001", with: "\"sale_id\":\"x-secret\""),
            good.replacing("\"sale_id\":9001", with: "\"sale_id\":3").replacing(
                "\"quantity\":2",
                with: "\"quantity\":2.5"
            ),
            good.replacing("\"sale_id\":9001", with: "\"sale_id\":9004"),
        ]
        let folder = bench.folder + "/sales_product/2026-01-01"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        // A file of the service replaced: whole, in its place, without a line in the manifest, no break at its end.
        try Data(lines.joined(separator: "\n").utf8).write(to: URL(filePath: folder + "/20260101_000000.ndjson"))
        try await bench.serving { base in
            let records = try await bench.load(base, bench.settings(lookback: 0))
            #expect(records[1].state == .partial, "\(String(describing: records[1].error))")
            let letters = try bench.ask("SELECT key, columns, reason FROM etl.dead_letters ORDER BY key")
            let path = "sales_product/2026-01-01/20260101_000000.ndjson"
            #expect(
                letters == """
                    \(path):2|{}|the line is no JSON object: it ends too early
                    \(path):3|{sale_id}|a value is no bigint
                    \(path):4|{quantity}|a value is no integer
                    """
            )
            #expect(
                try bench.ask("SELECT count(*) FROM silver.sales_product WHERE amount = 12345678901234567890.123456789")
                    == "2",
                "exact to the last digit"
            )
        }
        await bench.close()
    }

    /// Longer than the reader's ceiling of 1 MiB: the others of its file are loaded.
    @Test func aLineWithoutEndBecomesADeadLetter() async throws {
        let bench = try await RetailBench(sales: 5)
        let good = #"{"product_sku":"A","unit_amount":1.50,"_ingestion_ts":"2026-01-01T00:00:00Z"}"#
        let long = #"{"product_sku":"B","description":""# + String(repeating: "x", count: 3 << 20) + "\"}"
        let folder = bench.folder + "/products/2026-01-01"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data([good, long, good.replacing("\"A\"", with: "\"C\"")].joined(separator: "\n").utf8)
            .write(to: URL(filePath: folder + "/20260101_000000.ndjson"))
        try await bench.serving { base in
            let records = try await bench.load(base)
            #expect(records[1].state == .partial, "\(String(describing: records[1].error))")
            #expect(
                try bench.ask("SELECT key FROM etl.dead_letters") == "products/2026-01-01/20260101_000000.ndjson:2"
            )
            let shown = try bench.ask("SELECT product_sku, unit_amount FROM silver.products WHERE product_sku < 'D'")
            #expect(shown.split(separator: "\n").sorted() == ["A|1.50", "C|1.50"], "as many digits as it came with")
        }
        await bench.close()
    }

    /// A newer record is not replaced by an older file, and lines that are gone do not come back from one (INV-9).
    @Test func anOlderFileChangesNothing() async throws {
        let bench = try await RetailBench(sales: 120, editDelay: 3 * 3_600)
        try await bench.serving { base in
            _ = try await bench.run(base, options: .stage("bronze"))
            _ = try bench.ask("CREATE TABLE kept AS SELECT * FROM meta.bronze_files")
            _ = try bench.ask("DELETE FROM meta.bronze_files")
            let hidden = bench.folder + "-hidden"
            try FileManager.default.moveItem(atPath: bench.folder, toPath: hidden)
            bench.pass(seconds: 4 * 3_600)
            try await bench.load(base, bench.settings(fileSalesMax: 60))
            let newest = try bench.silver(bookkeeping: true)
            for path in bench.files() where FileManager.default.fileExists(atPath: hidden + "/" + path) {
                Issue.record("two files of one name: \(path)")
            }
            for path in try FileManager.default.subpathsOfDirectory(atPath: hidden) where path.hasSuffix(".ndjson") {
                let place = URL(filePath: bench.folder + "/" + path)
                try FileManager.default.createDirectory(
                    at: place.deletingLastPathComponent(),
                    withIntermediateDirectories: true
                )
                try FileManager.default.moveItem(atPath: hidden + "/" + path, toPath: place.path)
            }
            _ = try bench.ask(
                """
                INSERT INTO meta.bronze_files (entity, path, day, records, bytes, sha256, batch_id)
                SELECT entity, path, day, records, bytes, sha256, batch_id FROM kept ORDER BY id
                """
            )
            #expect(try await bench.run(base, options: .stage("silver")).state == .succeeded)
            #expect(try bench.ask("SELECT count(*) FROM meta.bronze_files WHERE loaded_at IS NULL") == "0")
            #expect(try bench.silver(bookkeeping: true) == newest)
            try? FileManager.default.removeItem(atPath: hidden)
        }
        await bench.close()
    }

    @Test func theStateOfTheServiceReplacedIsTakenOver() async throws {
        let bench = try await RetailBench(sales: 200)
        _ = try bench.ask("INSERT INTO meta.ingestion_state VALUES ('sales', 150, now() - interval '1 hour', 'old')")
        try await bench.serving { base in
            _ = try await bench.run(base, bench.settings(lookback: 10), options: .stage("bronze"))
            let first = try bench.ask("SELECT first_id FROM meta.bronze_files WHERE entity = 'sales_customer'")
            #expect((141...143).contains(Int(first) ?? 0), "\(first)")
            #expect(try bench.ask("SELECT last_sales_id FROM meta.ingestion_state") == "\(bench.lastID)")
            // Moved back by an operator, our position is; the old table's number never is (INV-2).
            _ = try bench.ask("UPDATE etl.watermarks SET cursor_id = '5' WHERE source = 'retail'")
            bench.pass(seconds: -6_000)
            _ = try await bench.run(base, bench.settings(lookback: 0), options: .stage("bronze"))
            #expect(try bench.ask("SELECT cursor_id FROM etl.watermarks") == "\(bench.lastID)")
            #expect((Int(try bench.ask("SELECT last_sales_id FROM meta.ingestion_state")) ?? 0) > bench.lastID)
        }
        await bench.close()
    }

    @Test func oldLoadedFilesAreRemoved() async throws {
        let bench = try await RetailBench(sales: 30)
        try await bench.serving { base in
            try await bench.load(base)
            _ = try await bench.run(base, options: .stage("bronze"))
            _ = try bench.ask("UPDATE meta.bronze_files SET day = day - 100")
            _ = try await bench.run(base, bench.settings(retentionDays: 90), options: .stage("bronze"))
            let removed =
                "SELECT count(*) FROM meta.bronze_files WHERE removed_at IS NOT NULL AND loaded_at IS NOT NULL"
            #expect(try bench.ask(removed) == "4", "only what is in silver")
            #expect(bench.files().count == 8)
        }
        await bench.close()
    }

    @Test func aFolderThatCannotBeWrittenStopsTheStage() async throws {
        let bench = try await RetailBench(sales: 30)
        try Data().write(to: URL(filePath: bench.folder))
        try await bench.serving { base in
            let record = try await bench.run(base, options: .stage("bronze"))
            #expect(record.error?.kind == TallyError.Kind.permissionDenied.rawValue)
            #expect(try bench.ask("SELECT count(*) FROM etl.watermarks") == "0")
        }
        await bench.close()
    }
}
