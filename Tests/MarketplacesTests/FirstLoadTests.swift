import Engine
import Foundation
import HTTPClient
import Marketplaces
import Postgres
import Runtime
import TestKit
import Testing

/// A first load of Amazon that takes many runs: each goes on where the one before it stopped.
@Suite(.serialized) struct FirstLoadTests {
    /// What a run asks of an operation: the earliest bound, the longest window.
    private struct Asked {
        var earliest = Date.distantFuture
        var longest: TimeInterval = 0
        var calls = 0

        mutating func take(_ request: OutboundRequest, _ since: String, _ until: String) {
            let asked = URLComponents(url: request.url, resolvingAgainstBaseURL: false)?.queryItems ?? []
            let bounds = [since, until].compactMap { name in
                asked.first { $0.name == name }?.value.flatMap { WireTime.instant($0) }
            }
            guard bounds.count == 2 else { return }
            calls += 1
            earliest = min(earliest, bounds[0])
            longest = max(longest, bounds[1].timeIntervalSince(bounds[0]))
        }
    }

    private static func job(
        _ bench: PullBench,
        at now: Date,
        ordersMax: Int,
        _ orders: Watched<Asked>,
        _ finances: Watched<Asked>
    ) throws -> MarketplaceJob {
        let german = try #require(AmazonMarketplace("DE"))
        let mock = MockAmazon(trades: PullBench.trades([german]), sellerID: "A0MOCKSELLER", now: { now })
        let counting = HookedTransport(
            mock: mock,
            instead: { request in
                if request.url.path().hasPrefix("/orders/") {
                    orders.change { $0.take(request, "lastUpdatedAfter", "lastUpdatedBefore") }
                    if orders.value.calls > ordersMax { throw TallyError(.unknown, during: "test", "killed") }
                } else if request.url.path().hasPrefix("/finances/") {
                    finances.change { $0.take(request, "postedAfter", "postedBefore") }
                }
                return nil
            }
        )
        return bench.amazon(at: now, transport: counting)
    }

    /// No page token outlives the day, so the watermark itself has to move on the way.
    @Test func whatOneRunHasReadTheNextDoesNotReadAgain() async throws {
        let last = PullBench.noon.addingTimeInterval(21 * 3_600)
        let clean = try await PullBench()
        #expect(try await clean.run(clean.amazon(at: last)).state == .succeeded)
        let bench = try await PullBench()
        var options = RunOptions()
        options.pipeline = "sales"
        let (orders, finances) = (Watched(Asked()), Watched(Asked()))
        let first = try await bench.run(
            Self.job(bench, at: PullBench.noon, ordersMax: 2, orders, finances),
            options
        )
        #expect(first.error?.summary.contains("killed") == true, "\(String(describing: first.error))")
        let beginning = PullBench.noon.addingTimeInterval(-131 - 730 * 86_400)
        #expect(orders.value.earliest >= beginning)
        let (later, refunds) = (Watched(Asked()), Watched(Asked()))
        let second = try await bench.run(Self.job(bench, at: last, ordersMax: .max, later, refunds))
        #expect(second.state == .succeeded, "\(String(describing: second.error))")
        #expect(later.value.earliest >= beginning.addingTimeInterval(13 * 86_400), "two weeks had been read")
        #expect(try bench.tables() == clean.tables())
        await bench.pool.close()
        await clean.pool.close()
    }

    /// A window, or a part of one, that a run cannot end would begin anew each hour.
    @Test func noWindowIsLongerThanARunCanRead() async throws {
        let bench = try await PullBench()
        let (orders, finances) = (Watched(Asked()), Watched(Asked()))
        let record = try await bench.run(
            Self.job(bench, at: PullBench.noon, ordersMax: .max, orders, finances)
        )
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        #expect(orders.value.longest == 7 * 86_400)
        #expect(finances.value.longest <= 14 * 86_400)
        // Weeks of two years, and refunds that are long settled are read once: not thirty days for every week.
        #expect(orders.value.calls < 130)
        #expect(finances.value.calls < 600)
        await bench.pool.close()
    }
}
