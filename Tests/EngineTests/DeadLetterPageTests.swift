import Engine
import Postgres
import Runtime
import TestKit
import Testing

/// Pages of dead letters by cursor, over several databases.
@Suite(.serialized) struct DeadLetterPageTests {
    private static func pool(_ letters: Int) async throws -> PGPool {
        let url = try TestPostgres.shared().freshDatabase()
        let pool = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 2)
        _ = try await pool.withConnection { connection in
            _ = try await EngineMigrations.migrator().up(connection)
            return try await connection.query(
                """
                INSERT INTO etl.dead_letters (job, key, kind, reason, run_id, resolved_at)
                SELECT CASE WHEN n % 2 = 0 THEN 'even' ELSE 'odd' END, n::text, 'record-malformed', 'too long',
                    gen_random_uuid(), CASE WHEN n % 5 = 0 THEN clock_timestamp() END
                FROM generate_series(1, $1::int) n
                """,
                [.int(Int64(letters))]
            )
        }
        return pool
    }

    private static func pages(_ store: DeadLetterStore, _ limit: Int, job: JobName? = nil) async throws -> [[String]] {
        var pages: [[String]] = []
        var before: String?
        repeat {
            let page = try await store.list(job: job, limit: limit, before: before)
            pages.append(page.map(\.id))
            before = page.count == limit ? page.last?.id : nil
        } while before != nil && pages.count < 100
        return pages
    }

    @Test(arguments: [1, 2, 3, 7, 50])
    func pagesHoldEachOpenLetterOnce(limit: Int) async throws {
        let (cart, warehouse) = (try await Self.pool(9), try await Self.pool(6))
        let store = DeadLetterStore([(role: "cart", pool: cart), (role: "warehouse", pool: warehouse)])
        let expected = [9, 8, 7, 6, 4, 3, 2, 1].map { "cart-\($0)" } + [6, 4, 3, 2, 1].map { "warehouse-\($0)" }
        let pages = try await Self.pages(store, limit)
        #expect(pages.flatMap { $0 } == expected)
        #expect(pages.dropLast().allSatisfy { $0.count == limit })
        #expect(
            try await Self.pages(store, limit, job: "even").flatMap { $0 }
                == expected.filter { (Int($0.suffix(1)) ?? 1) % 2 == 0 }
        )
    }

    /// What arrives meanwhile is on no later page, and what leaves tears no hole.
    @Test func aPageStaysWhatItIsWhileLettersComeAndGo() async throws {
        let cart = try await Self.pool(9)
        let store = DeadLetterStore([(role: "cart", pool: cart)])
        let first = try await store.list(job: nil, limit: 3, before: nil).map(\.id)
        #expect(first == ["cart-9", "cart-8", "cart-7"])
        #expect(try await store.discard(id: "cart-7", by: "ada"), "the cursor itself")
        _ = try await cart.withConnection {
            try await $0.query(
                "INSERT INTO etl.dead_letters (job, key, kind, reason, run_id) "
                    + "VALUES ('odd', 'new', 'record-malformed', 'too long', gen_random_uuid())"
            )
        }
        #expect(
            try await store.list(job: nil, limit: 3, before: first.last).map(\.id) == ["cart-6", "cart-4", "cart-3"]
        )
    }

    @Test(arguments: ["", "cart", "cart-", "cart-x", "nobody-1", "cart-99999999999999999999"])
    func aCursorOfAnotherFormIsRefused(before: String) async throws {
        let store = DeadLetterStore([(role: "cart", pool: try await Self.pool(1))])
        let error = await #expect(throws: TallyError.self) { try await store.list(job: nil, limit: 3, before: before) }
        #expect(error?.kind == .requestInvalid)
    }
}
