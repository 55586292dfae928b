import Engine
import Postgres
import Runtime
import TestKit
import Testing

/// Which run a key began, remembered in the database.
@Suite(.serialized) struct IdempotencyKeysTests {
    private static func pool() async throws -> PGPool {
        let url = try TestPostgres.shared().freshDatabase()
        let pool = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 4)
        _ = try await pool.withConnection { try await EngineMigrations.migrator().up($0) }
        return pool
    }

    private static func age(_ pool: PGPool, _ interval: String) async throws {
        _ = try await pool.withConnection {
            try await $0.query(
                "UPDATE etl.idempotency_keys SET created_at = clock_timestamp() - $1::interval",
                [.text(interval)]
            )
        }
    }

    private static func reserve(
        _ keys: IdempotencyKeys,
        _ run: RunID,
        hash: [UInt8] = [1],
        caller: String = "ada"
    ) async throws -> IdempotencyKeys.Reservation {
        try await keys.reserve(caller: caller, key: "nightly", requestHash: hash, run: run)
    }

    @Test func aKeyBelongsToOneCallerAndOneRequest() async throws {
        let keys = IdempotencyKeys(state: try await Self.pool())
        let (first, second) = (RunID(), RunID())
        #expect(try await Self.reserve(keys, first) == .new)
        #expect(try await Self.reserve(keys, second) == .known(first))
        #expect(try await Self.reserve(keys, second, hash: [2]) == .mismatch)
        #expect(try await Self.reserve(keys, second) == .known(first), "a mismatch changes nothing")
        #expect(try await Self.reserve(keys, second, caller: "bob") == .new)
        // Only who holds it gives it back.
        try await keys.release(caller: "ada", key: "nightly", run: second)
        #expect(try await Self.reserve(keys, second) == .known(first))
        try await keys.release(caller: "ada", key: "nightly", run: first)
        #expect(try await Self.reserve(keys, second, hash: [2]) == .new)
    }

    @Test func aDayLaterItIsANewKey() async throws {
        let pool = try await Self.pool()
        let keys = IdempotencyKeys(state: pool)
        let (first, second, third) = (RunID(), RunID(), RunID())
        #expect(try await Self.reserve(keys, first) == .new)
        try await Self.age(pool, "23 hours 59 minutes")
        #expect(try await Self.reserve(keys, second) == .known(first))
        try await Self.age(pool, "24 hours 1 second")
        #expect(try await Self.reserve(keys, second, hash: [2]) == .new, "for any request")
        // From now on it holds for another day, for the new request.
        #expect(try await Self.reserve(keys, third, hash: [2]) == .known(second))
        #expect(try await Self.reserve(keys, third) == .mismatch)
    }

    @Test func ofManyAtOnceOneBegins() async throws {
        let keys = IdempotencyKeys(state: try await Self.pool())
        let answers = try await withThrowingTaskGroup(of: IdempotencyKeys.Reservation.self) { group in
            for _ in 0..<16 { group.addTask { try await Self.reserve(keys, RunID()) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(answers.count { $0 == .new } == 1)
        let known = answers.compactMap { answer -> RunID? in
            if case .known(let run) = answer { run } else { nil }
        }
        #expect(known.count == 15 && Set(known).count == 1)
    }
}
