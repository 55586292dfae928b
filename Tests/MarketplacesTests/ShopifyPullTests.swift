import Engine
import Foundation
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// The job `shopify` from the synthetic shop's JSON into a real PostgreSQL.
@Suite struct ShopifyPullTests {
    @Test func twoPullsOfOneInstantLeaveTheSameTables() async throws {
        let bench = try await PullBench()
        let first = try await bench.run(bench.shopify())
        #expect(first.state == .succeeded, "\(String(describing: first.error))")
        let tables = try bench.tables()
        let written = try bench.psql("SELECT count(*) > 100 FROM marketplace.order_lines")
        #expect(written == "t")
        let stamps = "SELECT md5(string_agg(xmin::text || ctid::text, ',' ORDER BY ts, product_code)) FROM "
        let images = try bench.psql(stamps + "sales_ts")
        let second = try await bench.run(bench.shopify())
        #expect(second.state == .succeeded)
        #expect(second.summary?["counts"]?["changed"]?.int == 0, "unchanged rows cost no write")
        #expect(try bench.tables() == tables)
        #expect(try bench.psql(stamps + "sales_ts") == images)
        await bench.pool.close()
    }

    @Test func sumsByDayAreTheShopsOwnLedger() async throws {
        let bench = try await PullBench()
        #expect(try await bench.run(bench.shopify()).state == .succeeded)
        let until = PullBench.noon.addingTimeInterval(-5)
        var expected: [String] = []
        for (day, total) in PullBench.trade.ledger(at: until).sorted(by: { $0.key < $1.key }) {
            let margin = MockTrade.money(total.revenueCents - total.costCents)
            expected.append(
                "\(Int(day.timeIntervalSince1970))|\(total.units)|\(MockTrade.money(total.revenueCents))|"
                    + "\(margin)|\(MockTrade.money(total.feeCents))"
            )
        }
        let found = try bench.psql(
            """
            SELECT extract(epoch FROM ts)::bigint, sum(units_sold), sum(revenue)::numeric(20, 2),
                sum(margin)::numeric(20, 2), (SELECT sum(amount)::numeric(20, 2) FROM fees_ts f WHERE f.ts = s.ts)
            FROM sales_ts s GROUP BY ts ORDER BY ts
            """
        )
        #expect(found.split(separator: "\n").map(String.init) == expected)
        #expect(expected.count > 50)
        await bench.pool.close()
    }

    @Test func manySmallPullsEqualOneCleanPull() async throws {
        let clean = try await PullBench()
        #expect(try await clean.run(clean.shopify()).state == .succeeded)
        let stepwise = try await PullBench()
        for hours in stride(from: 40 * 24, through: 0, by: -97) {
            let at = PullBench.noon.addingTimeInterval(Double(-hours * 3_600))
            let record = try await stepwise.run(stepwise.shopify(at: at))
            #expect(record.state == .succeeded, "\(String(describing: record.error))")
        }
        #expect(try await stepwise.run(stepwise.shopify()).state == .succeeded)
        #expect(try stepwise.tables() == clean.tables())
        await clean.pool.close()
        await stepwise.pool.close()
    }

    @Test func aDryRunWritesNothingAndCountsWhatARunWouldChange() async throws {
        let bench = try await PullBench()
        let dry = try await bench.run(bench.shopify(), RunOptions(dryRun: true))
        #expect(dry.state == .succeeded, "\(String(describing: dry.error))")
        #expect(try bench.psql("SELECT count(*) FROM product") == "0")
        #expect(try bench.psql("SELECT count(*) FROM etl.rate_limits") == "0")
        #expect((dry.summary?["counts"]?["changed"]?.int ?? 0) > 100)
        #expect(try await bench.run(bench.shopify()).state == .succeeded)
        let after = try await bench.run(bench.shopify(), RunOptions(dryRun: true))
        #expect(after.summary?["counts"]?["changed"]?.int == 0)
        await bench.pool.close()
    }

    @Test func aWatermarkMovedBackFillsTheTablesAgain() async throws {
        let bench = try await PullBench()
        #expect(try await bench.run(bench.shopify()).state == .succeeded)
        let tables = try bench.tables()
        _ = try bench.psql("TRUNCATE sales_ts, fees_ts; UPDATE etl.watermarks SET cursor_ts = '2026-01-01'")
        let again = try await bench.run(bench.shopify())
        #expect(again.state == .succeeded, "\(String(describing: again.error))")
        #expect(try bench.tables() == tables, "also where the stored lines are unchanged")
        _ = try bench.psql("TRUNCATE sales_ts, fees_ts; DELETE FROM etl.watermarks")
        #expect(try await bench.run(bench.shopify()).state == .succeeded)
        #expect(try bench.tables() == tables)
        await bench.pool.close()
    }

    @Test func aTamperedDayFailsTheProof() async throws {
        let bench = try await PullBench()
        #expect(try await bench.run(bench.shopify()).state == .succeeded)
        _ = try bench.psql("UPDATE sales_ts SET revenue = revenue + 1 WHERE ts < '2026-02-01'")
        let record = try await bench.run(bench.shopify())
        #expect(record.state == .failed)
        #expect(record.error?.kind == "proof-failed")
        await bench.pool.close()
    }

    /// Property: kills, faults and token refusals on the way change nothing in the end (INV-1, INV-3, INV-5).
    @Test(arguments: SeededGenerator.seeds(12))
    func interruptedPullsEndInTheTablesOfACleanOne(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let trade = MockTrade(orderEvery: 40_000, productCount: 6, seed: seed)
        let clean = try await PullBench()
        #expect(try await clean.run(clean.shopify(trade)).state == .succeeded, "\(random)")
        let bench = try await PullBench()
        for attempt in 0..<6 {
            let script = (0..<12).map { _ in
                Bool.random(using: &random) ? nil : MockFaults.Fault.allCases.randomElement(using: &random)
            }
            let faulty = MockShopify(
                trade: trade,
                shop: "tally-demo.myshopify.com",
                faults: MockFaults(script: attempt == 5 ? [] : script),
                now: { PullBench.noon }
            )
            let killAt = Int.random(in: 1...6, using: &random)
            let killPoint = PullBench.killPoints.randomElement(using: &random)
            let reached = Watched(0)
            let failpoint = Failpoint { name in
                guard name == killPoint, attempt < 5 else { return }
                reached.change { $0 += 1 }
                if reached.value == killAt { throw TallyError(.unknown, during: "test", "killed") }
            }
            _ = try await bench.run(bench.shopify(trade, transport: faulty), failpoint: failpoint)
        }
        let last = try await bench.run(bench.shopify(trade))
        #expect(last.state == .succeeded, "\(random) \(String(describing: last.error))")
        #expect(try bench.tables() == clean.tables(), "\(random)")
        await bench.pool.close()
        await clean.pool.close()
    }

    @Test func aRevokedTokenHaltsWithWhatToDo() async throws {
        let bench = try await PullBench()
        let record = try await bench.run(bench.shopify(token: "revoked"))
        #expect(record.state == .failed)
        #expect(record.error?.kind == "credentials-rejected")
        #expect(record.error?.remedy?.contains("SHOPIFY_") == true)
        await bench.pool.close()
    }
}
