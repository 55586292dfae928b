import Engine
import Foundation
import HTTPClient
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// What goes wrong in one pipeline, in a sweep or in the control check stays with it.
@Suite(.serialized) struct OnePartFailingTests {
    private static let tomorrow = PullBench.noon.addingTimeInterval(90_000)

    /// A catalogue that shrank too much is marked by nobody, and sold from all the same.
    @Test func aSweepThatIsRefusedLeavesSalesAndFeesReadable() async throws {
        let bench = try await PullBench()
        #expect(try await bench.run(bench.shopify()).state == .succeeded)
        _ = try bench.psql(
            """
            INSERT INTO product (account_id, marketplace, country, product_code, scope)
            SELECT 'acme', 'shopify', 'DE', 'ghost ' || n, 'tally-demo.myshopify.com' FROM generate_series(1, 900) n
            """
        )
        let record = try await bench.run(bench.shopify(at: Self.tomorrow))
        #expect(record.state == .failed)
        #expect(record.error?.kind == TallyError.Kind.changeImplausible.rawValue)
        #expect(record.error?.summary.contains("1 of 1 accounts") == true)
        #expect(try bench.psql("SELECT count(*) FROM product WHERE deleted_at IS NOT NULL") == "0")
        let late = "sold_at > '\(WireTime.text(PullBench.noon))'"
        #expect(try bench.psql("SELECT count(*) > 3 FROM marketplace.order_lines WHERE \(late)") == "t")
        let read = try bench.psql(
            """
            SELECT string_agg("table", ' ' ORDER BY "table") FROM etl.watermarks
            WHERE cursor_ts > '\(WireTime.text(PullBench.noon))'
            """
        )
        #expect(read == "fees fees_14d listings listings_sweep products sales sales_14d")
        await bench.pool.close()
    }

    /// A refused token concerns every pipeline: the account is left at once.
    @Test func aRefusedTokenIsAskedForOnce() async throws {
        let bench = try await PullBench()
        let asked = Watched(0)
        let mock = MockShopify(trade: PullBench.trade, shop: "tally-demo.myshopify.com", now: { PullBench.noon })
        let refusing = HookedTransport(
            mock: mock,
            instead: { request in
                guard HookedTransport.operation(request) != "TallymanShop" else { return nil }
                asked.change { $0 += 1 }
                return HookedTransport.json("{}", status: 401)
            }
        )
        let record = try await bench.run(bench.shopify(transport: refusing))
        #expect(record.error?.kind == TallyError.Kind.credentialsRejected.rawValue)
        #expect(asked.value <= 2, "asked \(asked.value) times")
        await bench.pool.close()
    }

    /// Each step of a sweep is tried again by itself.
    @Test func aSweepSurvivesAFailureAmongItsPolls() async throws {
        let bench = try await PullBench()
        var options = RunOptions()
        options.pipeline = "products"
        #expect(try await bench.run(bench.shopify(), options).state == .succeeded)
        let polls = Watched(0)
        let runs = Watched(0)
        let mock = MockShopify(trade: PullBench.trade, shop: "tally-demo.myshopify.com", now: { Self.tomorrow })
        let failing = HookedTransport(
            mock: mock,
            instead: { request in
                let operation = HookedTransport.operation(request)
                if operation == "TallymanBulkRun" { runs.change { $0 += 1 } }
                guard operation == "TallymanBulkState" else { return nil }
                let number = polls.change { polls in
                    polls += 1
                    return polls
                }
                return number == 1 ? HookedTransport.json("", status: 503) : nil
            }
        )
        let record = try await bench.run(bench.shopify(at: Self.tomorrow, transport: failing), options)
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        #expect(polls.value == 2)
        #expect(runs.value == 1, "the operation that was begun is asked for again, no other is started")
        await bench.pool.close()
    }

    /// The same of Amazon's report, in each of its steps.
    @Test(arguments: ["/reports", "/report-", "/document-"])
    func aReportSurvivesAFailureAmongItsSteps(step: String) async throws {
        let bench = try await PullBench()
        var options = RunOptions()
        options.pipeline = "listings"
        #expect(try await bench.run(bench.amazon(), options).state == .succeeded)
        let german = try #require(AmazonMarketplace("DE"))
        let mock = MockAmazon(trades: PullBench.trades([german]), sellerID: "A0MOCKSELLER", now: { Self.tomorrow })
        let failed = Watched(false)
        let failing = HookedTransport(
            mock: mock,
            instead: { request in
                let path = request.url.path()
                guard path.contains(step), step != "/reports" || path.hasSuffix(step), !failed.value else { return nil }
                failed.change { $0 = true }
                return HookedTransport.json("", status: 503)
            }
        )
        let record = try await bench.run(bench.amazon(at: Self.tomorrow, transport: failing), options)
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        #expect(failed.value)
        await bench.pool.close()
    }

    /// Amazon's own sums are a control: without them what was read stands, and the details say so.
    @Test(arguments: [
        (403, #"{"errors":[{"code":"AccessDenied"}]}"#, "permission-denied"),
        (200, #"{"payload":[{"interval":"2026-02-28T00:00:00Z--2026-03-01T00:00:00Z","unitCount":1}]}"#, "malformed"),
    ])
    func aControlThatFailsIsAWarning(status: Int, body: String, kind: String) async throws {
        let bench = try await PullBench()
        let german = try #require(AmazonMarketplace("DE"))
        let mock = MockAmazon(trades: PullBench.trades([german]), sellerID: "A0MOCKSELLER", now: { PullBench.noon })
        let failing = HookedTransport(
            mock: mock,
            instead: { request in
                request.url.path() == "/sales/v1/orderMetrics" ? HookedTransport.json(body, status: status) : nil
            }
        )
        let record = try await bench.run(bench.amazon(transport: failing))
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        let control = record.summary?["details"]?["accounts"]?["A1PA6795UKMFR9/control"]
        #expect(control?["failed"]?.string?.contains(kind) == true, "\(String(describing: control))")
        #expect(try bench.psql("SELECT count(*) > 10 FROM fees_ts") == "t")
        await bench.pool.close()
    }
}
