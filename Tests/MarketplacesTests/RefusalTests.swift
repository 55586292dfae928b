import Engine
import Foundation
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// Records that mapping refuses, through a whole pull.
@Suite struct RefusalTests {
    /// An amount without currency or of another one, a quantity that is none: those orders become dead letters, the
    /// others are stored, and when the shop tells better the letters are settled (INV-5).
    @Test func whatCannotBeMappedIsADeadLetterUntilItCan() async throws {
        let trade = MockTrade(orderEvery: 40_000, productCount: 5)
        let clean = try await PullBench()
        var options = RunOptions()
        options.pipeline = "sales"
        #expect(try await clean.run(clean.shopify(trade), options).state == .succeeded)
        let bench = try await PullBench()
        let mock = MockShopify(trade: trade, shop: "tally-demo.myshopify.com", now: { PullBench.noon })
        let spoiling = SpoilingTransport(mock) { lines in
            // Orders with refunds or returns are asked for by id; these are read from the result.
            let plain = lines.indices.filter {
                lines[$0].contains(#""returnStatus":"NO_RETURN""#) && lines[$0].contains(#""refunds":[]"#)
            }
            try #require(plain.count > 3)
            lines[plain[0] + 1].replace(#","currencyCode":"EUR""#, with: "", maxReplacements: 1)
            lines[plain[1] + 1].replace(#""currencyCode":"EUR""#, with: #""currencyCode":"USD""#, maxReplacements: 1)
            lines[plain[2] + 1].replace(#""quantity":"#, with: #""quantity":-"#)
        }
        let first = try await bench.run(bench.shopify(trade, transport: spoiling), options)
        #expect(first.state == .partial, "\(String(describing: first.error))")
        let open = "SELECT count(*) FROM etl.dead_letters WHERE resolved_at IS NULL"
        #expect(try bench.psql(open) == "3")
        let orders = "SELECT count(*) FROM marketplace.documents"
        let all = try #require(Int(try clean.psql(orders)))
        #expect(try bench.psql(orders) == "\(all - 3)")
        let reasons = try bench.psql("SELECT string_agg(reason, ' ') FROM etl.dead_letters")
        #expect(reasons.contains("currency") && !reasons.contains("USD"), "\(reasons)")

        _ = try bench.psql("DELETE FROM etl.watermarks")
        let second = try await bench.run(bench.shopify(trade), options)
        #expect(second.state == .succeeded, "\(String(describing: second.error))")
        #expect(try bench.psql(open) == "0")
        #expect(try bench.tables() == clean.tables())
        await bench.pool.close()
        await clean.pool.close()
    }

    private static let open = "SELECT count(*) FROM etl.dead_letters WHERE resolved_at IS NULL"

    /// A letter has the name that the mended record comes under, in every pipeline.
    @Test(arguments: ["products", "listings"])
    func lettersOfShopifyAreSettledByTheMendedRecord(pipeline: String) async throws {
        let trade = MockTrade(orderEvery: 40_000, productCount: 5)
        let bench = try await PullBench()
        var options = RunOptions()
        options.pipeline = pipeline
        let mock = MockShopify(trade: trade, shop: "tally-demo.myshopify.com", now: { PullBench.noon })
        let spoiling = SpoilingTransport(mock) { lines in
            let index = try #require(lines.firstIndex { $0.contains("__parentId") })
            lines[index].replace("\"updatedAt\":\"20", with: "\"updatedAt\":\"when it was 20")
        }
        let first = try await bench.run(bench.shopify(trade, transport: spoiling), options)
        #expect(first.state == .partial, "\(String(describing: first.error))")
        #expect(try bench.psql(Self.open) == "1")
        _ = try bench.psql("DELETE FROM etl.watermarks")
        let second = try await bench.run(bench.shopify(trade), options)
        #expect(second.state == .succeeded, "\(String(describing: second.error))")
        #expect(try bench.psql(Self.open) == "0")
        await bench.pool.close()
    }

    /// The same of Amazon; a refund's letter is one of the sales.
    @Test(arguments: [
        ("products", #"{"sku":"SKU-0-0""#, #""lastUpdatedDate":"20"#),
        ("listings", #"{"sku":"SKU-0-0""#, #""lastUpdatedDate":"20"#),
        ("sales", #""transactionId":"Refund-"#, #""postedDate":"20"#),
    ])
    func lettersOfAmazonAreSettledByTheMendedRecord(pipeline: String, record: String, field: String) async throws {
        let bench = try await PullBench()
        var options = RunOptions()
        options.pipeline = pipeline
        let german = try #require(AmazonMarketplace("DE"))
        let mock = MockAmazon(trades: PullBench.trades([german]), sellerID: "A0MOCKSELLER", now: { PullBench.noon })
        // The first such record, wherever it comes again.
        let chosen = Watched<String?>(nil)
        let spoiling = HookedTransport(
            mock: mock,
            change: { _, text in
                guard let found = text.range(of: chosen.value ?? record) else { return }
                let name = String(text[found.lowerBound...].prefix { $0 != "," })
                chosen.change { $0 = $0 ?? name }
                guard let place = text.range(of: field, range: found.upperBound..<text.endIndex) else { return }
                text.replaceSubrange(place, with: field.dropLast(2) + "when it was 20")
            }
        )
        let first = try await bench.run(bench.amazon(transport: spoiling), options)
        #expect(first.state == .partial, "\(String(describing: first.error))")
        #expect(try bench.psql(Self.open) == "1")
        _ = try bench.psql("DELETE FROM etl.watermarks")
        let second = try await bench.run(bench.amazon(), options)
        #expect(second.state == .succeeded, "\(String(describing: second.error))")
        #expect(try bench.psql(Self.open) == "0")
        await bench.pool.close()
    }
}
