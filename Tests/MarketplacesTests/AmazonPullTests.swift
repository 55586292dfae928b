import Engine
import Foundation
import HTTPClient
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// The job `amazon` from the synthetic seller's JSON into a real PostgreSQL.
@Suite struct AmazonPullTests {
    @Test func twoPullsOfOneInstantLeaveTheSameTables() async throws {
        let bench = try await PullBench()
        let first = try await bench.run(bench.amazon())
        #expect(first.state == .succeeded, "\(String(describing: first.error))")
        let tables = try bench.tables()
        #expect(try bench.psql("SELECT count(*) > 100 FROM marketplace.order_lines") == "t")
        #expect(try bench.psql("SELECT count(*) > 10 FROM product WHERE brand IS NOT NULL") == "t")
        let second = try await bench.run(bench.amazon())
        #expect(second.state == .succeeded, "\(String(describing: second.error))")
        #expect(second.summary?["counts"]?["changed"]?.int == 0, "unchanged rows cost no write")
        #expect(try bench.tables() == tables)
        await bench.pool.close()
    }

    @Test(arguments: ["DE", "JP"])
    func sumsByDayAreTheSellersOwnLedger(country: String) async throws {
        let bench = try await PullBench()
        let marketplace = try #require(AmazonMarketplace(country))
        let record = try await bench.run(bench.amazon([marketplace]))
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        let trade = try #require(PullBench.trades([marketplace])[marketplace.id])
        let until = PullBench.noon.addingTimeInterval(-130)
        let expected = trade.ledger(at: until).sorted { $0.key < $1.key }.map { day, total in
            "\(Int(day.timeIntervalSince1970))|\(total.units)|\(MockTrade.money(total.revenueCents))|"
                + MockTrade.money(total.feeCents)
        }
        let found = try bench.psql(
            """
            SELECT extract(epoch FROM ts)::bigint, sum(units_sold), sum(revenue)::numeric(20, 2),
                (SELECT sum(amount)::numeric(20, 2) FROM fees_ts f WHERE f.ts = s.ts)
            FROM sales_ts s GROUP BY ts ORDER BY ts
            """
        )
        #expect(found.split(separator: "\n").map(String.init) == expected)
        #expect(expected.count > 50)
        await bench.pool.close()
    }

    @Test func manySmallPullsEqualOneCleanPull() async throws {
        let clean = try await PullBench()
        #expect(try await clean.run(clean.amazon()).state == .succeeded)
        let stepwise = try await PullBench()
        for hours in stride(from: 20 * 24, through: 0, by: -31) {
            let record = try await stepwise.run(
                stepwise.amazon(at: PullBench.noon.addingTimeInterval(Double(-hours * 3_600)))
            )
            #expect(record.state == .succeeded, "\(String(describing: record.error))")
        }
        #expect(try await stepwise.run(stepwise.amazon()).state == .succeeded)
        #expect(try stepwise.tables() == clean.tables())
        await clean.pool.close()
        await stepwise.pool.close()
    }

    /// It asks, compares and counts; no table has a row more, no bucket is touched (INV-10).
    @Test func aDryRunWritesNothingAndCountsWhatARunWouldChange() async throws {
        let bench = try await PullBench()
        let rows = """
            SELECT (SELECT count(*) FROM product), (SELECT count(*) FROM listing), (SELECT count(*) FROM sales_ts),
                (SELECT count(*) FROM fees_ts), (SELECT count(*) FROM marketplace.documents),
                (SELECT count(*) FROM etl.watermarks), (SELECT count(*) FROM etl.rate_limits)
            """
        let dry = try await bench.run(bench.amazon(), RunOptions(dryRun: true))
        #expect(dry.state == .succeeded, "\(String(describing: dry.error))")
        #expect(try bench.psql(rows) == "0|0|0|0|0|0|0")
        #expect((dry.summary?["counts"]?["changed"]?.int ?? 0) > 100)
        #expect(try await bench.run(bench.amazon()).state == .succeeded)
        _ = try bench.psql("UPDATE marketplace.order_lines SET units = units + 1 WHERE sold_at > '2026-03-01'")
        let images = try bench.tables()
        let again = try await bench.run(bench.amazon(), RunOptions(dryRun: true))
        #expect(again.state == .succeeded, "\(String(describing: again.error))")
        #expect(try bench.tables() == images, "what differs is counted and left")
        await bench.pool.close()
    }

    /// One account's refusal leaves the others' rows in place, and the run says who failed.
    @Test func oneMarketplaceFailingDoesNotStopTheOther() async throws {
        let bench = try await PullBench()
        let good = bench.amazonPulls([try #require(AmazonMarketplace("DE"))])
        let job = MarketplaceJob(name: "amazon", target: bench.pool, state: bench.pool, clock: { PullBench.noon }) {
            let refused = AccountPull(accountID: "other", scope: "ATVPDKIKX0DER") {
                throw TallyError(.credentialsRejected, during: "test", "revoked", remedy: "Authorise again.")
            }
            return [refused] + (try await good($0))
        }
        let record = try await bench.run(job)
        #expect(record.state == .failed)
        #expect(record.error?.kind == "credentials-rejected")
        #expect(record.error?.summary.contains("1 of 2 accounts") == true)
        #expect(try bench.psql("SELECT count(*) > 100 FROM sales_ts") == "t")
        await bench.pool.close()
    }
}
