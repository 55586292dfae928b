import Engine
import Foundation
import Postgres
import Runtime
import TestKit
import Testing

@Suite struct RateLimitTests {
    static let start = Date(timeIntervalSince1970: 1_800_000_000)

    @Test func aBucketLetsItsBurstThroughAndThenQueues() {
        var bucket = TokenBucket(RateAllowance(perSecond: 0.5, burst: 2), at: Self.start)
        #expect(bucket.reserve(cost: 1, at: Self.start) == .zero)
        #expect(bucket.reserve(cost: 1, at: Self.start) == .zero)
        #expect(bucket.reserve(cost: 1, at: Self.start) == .seconds(2))
        #expect(bucket.reserve(cost: 1, at: Self.start) == .seconds(4), "each waits for its own place")
        bucket.giveBack(cost: 1)
        #expect(bucket.reserve(cost: 1, at: Self.start.addingTimeInterval(4)) == .seconds(0))
    }

    @Test func whatTheServerSaysCounts() {
        var bucket = TokenBucket(RateAllowance(perSecond: 50, burst: 1000), at: Self.start)
        bucket.observe(RateObservation(perSecond: 100, burst: 2000, available: 100), at: Self.start)
        #expect(bucket.reserve(cost: 300, at: Self.start) == .seconds(2))
        bucket.observe(RateObservation(pause: .seconds(9)), at: Self.start)
        #expect(bucket.reserve(cost: 0, at: Self.start) == .seconds(9))
    }

    @Test func replicasShareABucket() async throws {
        let url = try TestPostgres.shared().freshDatabase()
        let pool = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"))
        _ = try await pool.withConnection { try await EngineMigrations.migrator().up($0) }
        let (one, two) = (SharedRateLimits(state: pool), SharedRateLimits(state: pool))
        let slow = RateAllowance(perSecond: 0.01, burst: 2)
        #expect(try await one.reserve("a", cost: 1, allowance: slow) == .zero)
        #expect(try await two.reserve("a", cost: 1, allowance: slow) == .zero)
        let wait = try await one.reserve("a", cost: 1, allowance: slow)
        #expect(wait > .seconds(95) && wait <= .seconds(100))
        try await one.giveBack("a", cost: 1)
        try await two.observe("a", RateObservation(pause: .seconds(300)), allowance: slow)
        let blocked = try await one.reserve("a", cost: 0, allowance: slow)
        #expect(blocked > .seconds(295) && blocked <= .seconds(300))
        try await two.observe("b", RateObservation(perSecond: 1, burst: 10, available: 0), allowance: slow)
        let fed = try await one.reserve("b", cost: 5, allowance: slow)
        #expect(fed > .seconds(4) && fed <= .seconds(5))
        await pool.close()
    }
}
