import Engine
import Foundation
import Retail
import TestKit
import Testing

/// INV-9 where only the files tell that a row was read again: what does not change keeps its first stamp.
@Suite struct OlderFileTests {
    private static func stamp(_ minute: Int) -> String { "20260101_00\(minute / 10)\(minute % 10)00" }

    private static func record(_ members: String, _ minute: Int) -> String {
        "{\(members),\"_ingestion_ts\":\"2026-01-01T00:0\(minute):00Z\"}"
    }

    private static func put(_ bench: RetailBench, _ minute: Int, price: String, lines: Int) throws {
        try bench.put(
            .products,
            stamp: stamp(minute),
            [record("\"product_sku\":\"A\",\"unit_amount\":\(price)", minute)]
        )
        try bench.put(.salesCustomer, stamp: stamp(minute), [record("\"id\":9,\"_line_count\":\(lines)", minute)])
        try bench.put(
            .salesProduct,
            stamp: stamp(minute),
            (1...lines).map { record("\"sale_id\":9,\"line_no\":\($0),\"amount\":\(price)", minute) }
        )
    }

    private static func silver(_ bench: RetailBench) throws -> String {
        try [
            "SELECT product_sku, unit_amount FROM silver.products",
            "SELECT id, _line_count FROM silver.sales_customer",
            "SELECT sale_id, line_no, amount FROM silver.sales_product ORDER BY 2",
        ].map(bench.ask).joined(separator: "\n")
    }

    @Test func anUnchangedNewerReadingIsNotUndone() async throws {
        let bench = try await RetailBench(sales: 1)
        try await bench.serving(sales: []) { base in
            try Self.put(bench, 1, price: "1.00", lines: 1)
            try Self.put(bench, 3, price: "1.00", lines: 1)
            try await bench.load(base)
            let present = "A|1.00\n9|1\n9|1|1.00"
            #expect(try Self.silver(bench) == present)
            // Between both the source said something else; the file comes last.
            try Self.put(bench, 2, price: "7.77", lines: 2)
            let records = try await bench.load(base)
            #expect(records.map(\.state) == [.succeeded, .succeeded], "\(records.map(\.error))")
            #expect(try Self.silver(bench) == present, "the reading of minute 3 stands")
            let replay = try await bench.run(base, options: .stage("silver", fromBronze: "2026-01-01"))
            #expect(replay.state == .succeeded)
            #expect(try Self.silver(bench) == present, "also after a replay of all")
            // A newer one still gets in.
            try Self.put(bench, 4, price: "8.88", lines: 2)
            try await bench.load(base)
            #expect(try Self.silver(bench) == "A|8.88\n9|2\n9|1|8.88\n9|2|8.88")
        }
        await bench.close()
    }

    /// Where newer files are gone nobody knows what they said: an older one only adds what is not there at all.
    @Test func whereNewerFilesAreGoneAnOlderOneOnlyAdds() async throws {
        let bench = try await RetailBench(sales: 1)
        try await bench.serving(sales: []) { base in
            try Self.put(bench, 1, price: "1.00", lines: 1)
            try Self.put(bench, 3, price: "1.00", lines: 1)
            try await bench.load(base)
            _ = try bench.ask("UPDATE meta.bronze_files SET removed_at = now() WHERE path LIKE '%20260101_000300%'")
            try Self.put(bench, 2, price: "7.77", lines: 2)
            try bench.put(
                .products,
                stamp: "20260101_000230",
                [Self.record("\"product_sku\":\"B\",\"unit_amount\":2", 2)]
            )
            try await bench.load(base)
            #expect(try bench.ask("SELECT product_sku, unit_amount FROM silver.products ORDER BY 1") == "A|1.00\nB|2")
            #expect(try bench.ask("SELECT line_no, amount FROM silver.sales_product") == "1|1.00")
        }
        await bench.close()
    }

    @Test func newFoldersAreDurableInAllThatHoldThem() throws {
        let root = FileManager.default.temporaryDirectory.appending(path: TestTag.fresh("folders")).path
        defer { try? FileManager.default.removeItem(atPath: root) }
        let above = URL(filePath: root).deletingLastPathComponent().path
        #expect(try DurableFolder.make(root + "/sales/2026-01-01") == [above, root, root + "/sales"])
        #expect(try DurableFolder.make(root + "/sales/2026-01-02") == [root + "/sales"])
        #expect(try DurableFolder.make(root + "/sales/2026-01-02").isEmpty)
    }

    @Test func aFolderThatCannotBeReadIsNotEmpty() async throws {
        let bench = try await RetailBench(sales: 1)
        try FileManager.default.createDirectory(atPath: bench.folder, withIntermediateDirectories: true)
        try Data().write(to: URL(filePath: bench.folder + "/products"))
        try await bench.serving(sales: []) { base in
            let record = try await bench.run(base, options: .stage("bronze"))
            #expect(record.error?.summary.contains("the folder products below BRONZE_DIR cannot be read") == true)
        }
        await bench.close()
    }

    /// A run looks at files that were lately marked as removed, and not at those of all years.
    @Test func removedFilesAreLookedAfterForAMonth() async throws {
        let bench = try await RetailBench(sales: 1)
        try await bench.serving(sales: []) { base in
            for minute in [1, 2] { try Self.put(bench, minute, price: "1.00", lines: 1) }
            try await bench.load(base)
            _ = try bench.ask(
                """
                UPDATE meta.bronze_files SET removed_at = now() - CASE WHEN path LIKE '%000100%' THEN interval '40 days'
                    ELSE interval '1 day' END
                """
            )
            _ = try await bench.run(base, bench.settings(retentionDays: 90), options: .stage("bronze"))
            #expect(bench.files().count == 3 && bench.files().allSatisfy { $0.contains("000100") })
        }
        await bench.close()
    }
}
