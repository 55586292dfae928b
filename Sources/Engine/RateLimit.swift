package import Foundation
package import Postgres
import Synchronization

/// What a server allows until it says otherwise: so many units a second, and so many at once.
package struct RateAllowance: Sendable, Equatable {
    package let perSecond: Double
    package let burst: Double

    package init(perSecond: Double, burst: Double) {
        self.perSecond = perSecond
        self.burst = burst
    }
}

/// What a server said about a bucket.
package struct RateObservation: Sendable, Equatable {
    package var perSecond: Double?
    package var burst: Double?
    package var available: Double?
    /// Nothing may pass for so long.
    package var pause: Duration?

    package init(perSecond: Double? = nil, burst: Double? = nil, available: Double? = nil, pause: Duration? = nil) {
        self.perSecond = perSecond
        self.burst = burst
        self.available = available
        self.pause = pause
    }
}

/// Token buckets by name. A reservation always succeeds and says how long to wait before using it.
package protocol RateLimiting: Sendable {
    func reserve(_ bucket: String, cost: Double, allowance: RateAllowance) async throws -> Duration
    /// Takes a reservation back that will not be used.
    func giveBack(_ bucket: String, cost: Double) async throws
    func observe(_ bucket: String, _ observation: RateObservation, allowance: RateAllowance) async throws
}

/// One token bucket as a value: time goes in, waits come out.
package struct TokenBucket: Sendable, Equatable {
    package private(set) var allowance: RateAllowance
    package private(set) var tokens: Double
    private var blockedUntil = Date.distantPast
    private var updatedAt: Date

    package init(_ allowance: RateAllowance, at now: Date) {
        self.allowance = allowance
        tokens = allowance.burst
        updatedAt = now
    }

    private mutating func refill(_ now: Date) {
        let elapsed = max(0, now.timeIntervalSince(updatedAt))
        tokens = min(allowance.burst, tokens + allowance.perSecond * elapsed)
        updatedAt = max(updatedAt, now)
    }

    package mutating func reserve(cost: Double, at now: Date) -> Duration {
        refill(now)
        tokens -= cost
        let queue = max(0, -tokens / allowance.perSecond)
        return .milliseconds(Int64((max(queue, blockedUntil.timeIntervalSince(now)) * 1_000).rounded(.up)))
    }

    package mutating func giveBack(cost: Double) { tokens = min(allowance.burst, tokens + cost) }

    package mutating func observe(_ observation: RateObservation, at now: Date) {
        refill(now)
        allowance = RateAllowance(
            perSecond: observation.perSecond.flatMap { $0 > 0 ? $0 : nil } ?? allowance.perSecond,
            burst: observation.burst.flatMap { $0 > 0 ? $0 : nil } ?? allowance.burst
        )
        if let available = observation.available { tokens = min(tokens, available, allowance.burst) }
        if let pause = observation.pause {
            blockedUntil = max(blockedUntil, now.addingTimeInterval(pause.inSeconds))
        }
    }
}

/// Buckets of one process: for dry runs, which write nothing, and for tests.
package final class LocalRateLimits: RateLimiting {
    private let buckets = Mutex<[String: TokenBucket]>([:])
    private let now: @Sendable () -> Date

    package init(now: @escaping @Sendable () -> Date = { Date() }) {
        self.now = now
    }

    package func reserve(_ bucket: String, cost: Double, allowance: RateAllowance) async throws -> Duration {
        let now = now()
        return buckets.withLock { $0[bucket, default: TokenBucket(allowance, at: now)].reserve(cost: cost, at: now) }
    }

    package func giveBack(_ bucket: String, cost: Double) async throws {
        buckets.withLock { $0[bucket]?.giveBack(cost: cost) }
    }

    package func observe(_ bucket: String, _ observation: RateObservation, allowance: RateAllowance) async throws {
        let now = now()
        buckets.withLock { $0[bucket, default: TokenBucket(allowance, at: now)].observe(observation, at: now) }
    }
}

/// Buckets in `etl.rate_limits` of the state database, shared by every replica; its clock counts.
package struct SharedRateLimits: RateLimiting {
    private let pool: PGPool

    package init(state pool: PGPool) {
        self.pool = pool
    }

    package func reserve(_ bucket: String, cost: Double, allowance: RateAllowance) async throws -> Duration {
        let rows = try await pool.withConnection { connection in
            try await connection.query(
                """
                INSERT INTO etl.rate_limits AS r (bucket, rate, burst, tokens) VALUES ($1, $2, $3, $3 - $4)
                ON CONFLICT (bucket) DO UPDATE SET updated_at = clock_timestamp(), tokens = least(r.burst, r.tokens
                    + r.rate * greatest(0, extract(epoch FROM clock_timestamp() - r.updated_at)::float8)) - $4
                RETURNING greatest(0, -tokens / rate)::float8,
                    CASE WHEN blocked_until > clock_timestamp()
                        THEN extract(epoch FROM blocked_until - clock_timestamp())::float8 ELSE 0::float8 END
                """,
                [.text(bucket), .double(allowance.perSecond), .double(allowance.burst), .double(cost)]
            ).rows
        }
        guard let row = rows.first else { return .zero }
        return .milliseconds(Int64((max(try row[0].double(), try row[1].double()) * 1_000).rounded(.up)))
    }

    package func giveBack(_ bucket: String, cost: Double) async throws {
        _ = try await pool.withConnection { connection in
            try await connection.query(
                "UPDATE etl.rate_limits SET tokens = least(burst, tokens + $2) WHERE bucket = $1",
                [.text(bucket), .double(cost)]
            )
        }
    }

    package func observe(_ bucket: String, _ observation: RateObservation, allowance: RateAllowance) async throws {
        let values: [PGValue] = [
            .text(bucket), .double(allowance.perSecond), .double(allowance.burst),
            observation.perSecond.map { .double($0) } ?? .null, observation.burst.map { .double($0) } ?? .null,
            observation.available.map { .double($0) } ?? .null,
            observation.pause.map { .double($0.inSeconds) } ?? .null,
        ]
        _ = try await pool.withConnection { connection in
            try await connection.query(
                """
                INSERT INTO etl.rate_limits AS r (bucket, rate, burst, tokens, blocked_until)
                VALUES ($1, coalesce(nullif($4::float8, 0), $2), coalesce(nullif($5::float8, 0), $3),
                    coalesce($6::float8, $3),
                    coalesce(clock_timestamp() + make_interval(secs => $7::float8), '-infinity'))
                ON CONFLICT (bucket) DO UPDATE SET rate = coalesce(nullif($4::float8, 0), r.rate),
                    burst = coalesce(nullif($5::float8, 0), r.burst), updated_at = clock_timestamp(),
                    tokens = least(least(r.burst, r.tokens
                        + r.rate * greatest(0, extract(epoch FROM clock_timestamp() - r.updated_at)::float8)),
                        $6::float8),
                    blocked_until = greatest(r.blocked_until, excluded.blocked_until)
                """,
                values
            )
        }
    }
}

extension Duration {
    fileprivate var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
