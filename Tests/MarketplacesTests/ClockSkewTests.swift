import Engine
import Foundation
import HTTPClient
import Marketplaces
import Postgres
import Runtime
import Synchronization
import TestKit
import Testing

/// Our clock and the vendor's differ: nothing is skipped, and no watermark passes what the vendor's data has come to.
@Suite(.serialized) struct ClockSkewTests {
    enum Vendor: String, CaseIterable { case shopify, amazon }

    private static func job(_ vendor: Vendor, _ bench: PullBench, ours: Date, theirs: Date) throws -> MarketplaceJob {
        switch vendor {
        case .shopify:
            let mock = MockShopify(
                trade: PullBench.trade,
                shop: "tally-demo.myshopify.com",
                tellsTime: true,
                now: { theirs }
            )
            return bench.shopify(at: ours, transport: mock)
        case .amazon:
            let german = try #require(AmazonMarketplace("DE"))
            let mock = MockAmazon(
                trades: PullBench.trades([german]),
                sellerID: "A0MOCKSELLER",
                tellsTime: true,
                now: { theirs }
            )
            return bench.amazon([german], at: ours, transport: mock)
        }
    }

    /// Ahead by an hour, a window frozen by our clock would skip what the vendor sees within that hour; behind by one,
    /// it only comes later.
    @Test(arguments: Vendor.allCases, [3_600.0, -3_600])
    func noInstantIsSkipped(vendor: Vendor, skew: TimeInterval) async throws {
        let clean = try await PullBench()
        let last = PullBench.noon.addingTimeInterval(6 * 3_600)
        #expect(try await clean.run(Self.job(vendor, clean, ours: last, theirs: last)).state == .succeeded)
        let bench = try await PullBench()
        for step in 0...6 {
            let theirs = PullBench.noon.addingTimeInterval(Double(step) * 3_600)
            let ours = theirs.addingTimeInterval(skew)
            let record = try await bench.run(Self.job(vendor, bench, ours: ours, theirs: theirs))
            #expect(record.state == .succeeded, "\(step) \(String(describing: record.error))")
            let passed = try bench.psql(
                "SELECT count(*) FROM etl.watermarks WHERE cursor_ts > '\(WireTime.text(theirs))'"
            )
            #expect(passed == "0", "step \(step): a watermark is later than the vendor's clock")
        }
        // Where ours is behind, what is missing is the last hour: a right clock brings it.
        #expect(try await bench.run(Self.job(vendor, bench, ours: last, theirs: last)).state == .succeeded)
        #expect(try bench.tables() == clean.tables())
        await bench.pool.close()
        await clean.pool.close()
    }

    /// Amazon refuses a bound younger than two minutes; the refusal tells its time, and the window ends earlier.
    @Test func aRefusedBoundIsFrozenAgain() async throws {
        let bench = try await PullBench()
        var options = RunOptions()
        options.pipeline = "sales"
        let ours = PullBench.noon.addingTimeInterval(900)
        let job = try Self.job(.amazon, bench, ours: ours, theirs: PullBench.noon)
        let record = try await bench.run(job, options)
        #expect(record.state == .succeeded, "\(String(describing: record.error))")
        let mark = try bench.psql("SELECT cursor_ts AT TIME ZONE 'UTC' FROM etl.watermarks WHERE \"table\" = 'sales'")
        #expect(mark == "2026-03-01 11:57:51", "130 s before the vendor's noon, and the second that Date leaves out")
        await bench.pool.close()
    }

    /// Property: however slow the network, only a difference of clocks counts as one.
    @Test(arguments: SeededGenerator.seeds(200))
    func aSlowNetworkIsNoDifference(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let skew = Bool.random(using: &random) ? 0 : Double.random(in: -7_200...7_200, using: &random)
        let theirs = Watched(PullBench.noon.addingTimeInterval(Double.random(in: 0..<1, using: &random)))
        let transport = SlowTransport(clock: theirs, seed: seed)
        let clock = VendorClock(now: { theirs.value.addingTimeInterval(skew) })
        for _ in 0..<6 {
            _ = try await clock.timing { try await transport.send(OutboundRequest(.get, try Self.url())) }
        }
        #expect(clock.aheadBy <= max(0, skew), "\(random)")
        #expect(clock.aheadBy >= skew - 62, "\(random): the network took at most a minute")
    }

    private static func url() throws -> URL { try #require(URL(string: "https://vendor.example")) }

    /// Takes up to a minute each way, and tells the time in between.
    private final class SlowTransport: HTTPTransport {
        let clock: Watched<Date>
        private let random: Mutex<SeededGenerator>

        init(clock: Watched<Date>, seed: UInt64) {
            self.clock = clock
            random = Mutex(SeededGenerator(seed: seed))
        }

        func send(_ request: OutboundRequest, limits: ExchangeLimits) async throws -> OutboundResponse {
            func pass() -> Date {
                let delay = random.withLock { Double.random(in: 0...60, using: &$0) }
                clock.change { $0 += delay }
                return clock.value
            }
            let date = HTTPDate.text(pass())
            _ = pass()
            return OutboundResponse(status: 200, headers: ["Date": date])
        }

        func download(_ request: OutboundRequest, to file: URL, limits: ExchangeLimits) async throws
            -> OutboundResponse
        {
            try await send(request, limits: limits)
        }
    }

    // MARK: Tokens

    private final class Vendors: HTTPTransport {
        let granted = Watched(0)
        func send(_ request: OutboundRequest, limits: ExchangeLimits) async throws -> OutboundResponse {
            granted.change { $0 += 1 }
            let text = "{\"access_token\":\"t\(granted.value)\",\"expires_in\":3600}"
            return OutboundResponse(status: 200, body: Array(text.utf8))
        }
        func download(_ request: OutboundRequest, to file: URL, limits: ExchangeLimits) async throws
            -> OutboundResponse
        {
            try await send(request, limits: limits)
        }
    }

    /// A life is counted from our own clock, so that its difference to the vendor's does not matter; a clock that was
    /// set back makes a token look younger than it is: the vendor's refusal renews it.
    @Test(arguments: [-36_000.0, 0, 36_000])
    func aTokensLifeDoesNotDependOnTheDifference(skew: TimeInterval) async throws {
        let clock = Watched(PullBench.noon.addingTimeInterval(skew))
        let vendor = Vendors()
        let grant = TokenGrant(
            name: "amazon:A1",
            url: try Self.url(),
            clientID: "client",
            clientSecret: Secret("hush"),
            refreshToken: Secret("r"),
            remedy: "Authorise again."
        )
        let tokens = GrantedTokens(grant: grant, transport: vendor, keeper: nil, now: { clock.value })
        func token(refused: Bool = false) async throws -> String {
            try await tokens.token(refused: refused).expose { $0 }
        }
        #expect(try await token() == "t1")
        clock.change { $0 += 3_200 }
        #expect(try await token() == "t1")
        clock.change { $0 += 150 }
        #expect(try await token() == "t2")
        clock.change { $0 -= 86_400 }
        #expect(try await token() == "t2", "nothing tells yet that it is old")
        #expect(try await token(refused: true) == "t3")
        clock.change { $0 += 86_400 }
        #expect(try await token() == "t4", "a clock set forward renews early, and once")
        #expect(try await token() == "t4")
    }
}
