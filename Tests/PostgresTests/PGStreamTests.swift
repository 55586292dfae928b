import Foundation
import Postgres
import Runtime
import TestKit
import Testing

/// Rows that are lent as they arrive, and what ends a stream early.
@Suite(.serialized) struct PGStreamTests {
    private struct Stop: Error {}

    /// Runs `body` with a session, which must be of use afterwards.
    private static func withConnection(_ body: (PGConnection) async throws -> Void) async throws {
        let connection = try await PGConnection.connect(
            PGSettings(url: Secret(try TestPostgres.shared().adminURL), applicationName: "stream-test")
        )
        try await body(connection)
        #expect(try await connection.query("SELECT 7").rows.map { try $0[0].int() } == [7])
        #expect(!connection.isBroken)
        await connection.close()
    }

    /// Resident memory in bytes.
    private static func residentMemory() throws -> Int {
        let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
        return try #require(Int(fields[1])) * sysconf(Int32(_SC_PAGESIZE))
    }

    @Test(arguments: [(0, []), (1, [1]), (7, [7]), (8, [7, 1]), (50, [7, 7, 7, 7, 7, 7, 7, 1])])
    func rowsComeInOrderAndInPieces(count: Int, pieces: [Int]) async throws {
        try await Self.withConnection { connection in
            var seen: [Int] = []
            var sizes: [Int] = []
            try await connection.stream(
                "SELECT i AS number, nullif(i, 3)::text AS word FROM generate_series(1, $1::int) i",
                [.int(Int64(count))],
                maxRows: 7
            ) { rows in
                sizes.append(rows.count)
                for row in rows {
                    seen.append(try row["number"].int())
                    #expect(row[1].isNull == (seen.last == 3))
                    if seen.last != 3 { #expect(try row["word"].string() == "\(seen.count)") }
                }
            }
            #expect(seen == Array(0..<count).map { $0 + 1 })
            #expect(sizes == pieces)
        }
    }

    @Test func wideRowsMakeSmallPieces() async throws {
        try await Self.withConnection { connection in
            var sizes: [Int] = []
            try await connection.stream(
                "SELECT repeat('x', 600) FROM generate_series(1, 5)",
                maxBytes: 1_000
            ) { sizes.append($0.count) }
            #expect(sizes == [2, 2, 1])
        }
    }

    /// 400 MB pass through; held at once they could not stay under a tenth of that.
    @Test func memoryStaysFlat() async throws {
        try await Self.withConnection { connection in
            let before = try Self.residentMemory()
            var peak = before
            var rows = 0
            try await connection.stream(
                "SELECT i, repeat(md5(i::text), 32) FROM generate_series(1, 400000) i"
            ) { piece in
                rows += piece.count
                peak = max(peak, try Self.residentMemory())
            }
            #expect(rows == 400_000)
            // Other suites run beside this one, so the bound is wide.
            #expect(peak - before < 200 << 20)
        }
    }

    /// The server's error comes behind the rows that were sent before it, with or without a transaction around.
    @Test(arguments: [1, 8, 29, 4_000])
    func anErrorInTheMiddleComesBehindItsRows(maxRows: Int) async throws {
        let sql = "SELECT 1000 / (30 - i) FROM generate_series(1, 40) i"
        try await Self.withConnection { connection in
            var rows = 0
            let error = await #expect(throws: TallyError.self) {
                try await connection.stream(sql, maxRows: maxRows) { rows += $0.count }
            }
            #expect(error?.kind == .recordMalformed)
            #expect(rows == 29)
            await #expect(throws: TallyError.self) {
                try await connection.withTransaction { try await $0.stream(sql) { _ in } }
            }
        }
    }

    @Test func aWrongStatementThrowsAtOnce() async throws {
        try await Self.withConnection { connection in
            let error = await #expect(throws: TallyError.self) {
                try await connection.stream("SELECT nothing FROM nowhere") { _ in Issue.record("a row came") }
            }
            #expect(error?.kind == .schemaMismatch)
            let misuse = await #expect(throws: TallyError.self) {
                try await connection.stream("COPY (SELECT 1) TO STDOUT") { _ in Issue.record("a row came") }
            }
            #expect(misuse?.kind == .protocolViolation)
        }
    }

    /// What `body` throws ends the statement at the server: no row of a billion has to be waited for.
    @Test func aThrowingBodyEndsTheStatement() async throws {
        try await Self.withConnection { connection in
            await #expect(throws: Stop.self) {
                try await connection.stream("SELECT generate_series(1, 1000000000)") { _ in throw Stop() }
            }
            await #expect(throws: Stop.self) {
                try await connection.withTransaction {
                    try await $0.stream("SELECT generate_series(1, 1000000000)") { _ in throw Stop() }
                }
            }
        }
    }

    /// A small result is at the client when its reader gives up: the cancel request must not meet the next statement.
    @Test func givingUpASmallResultHarmsNoLaterStatement() async throws {
        try await Self.withConnection { connection in
            for _ in 0..<100 {
                await #expect(throws: Stop.self) {
                    try await connection.stream("SELECT generate_series(1, 2)", maxRows: 1) { _ in throw Stop() }
                }
                _ = try await connection.query("SELECT count(*) FROM generate_series(1, 2000)")
            }
        }
    }

    /// Cancelled while the server still computes, and while its rows arrive.
    @Test(arguments: ["SELECT i, pg_sleep(3600) FROM generate_series(1, 2) i", "SELECT generate_series(1, 1000000000)"])
    func cancellingTheTaskEndsTheStatement(sql: String) async throws {
        try await Self.withConnection { connection in
            let running = try await PGConnection.connect(
                PGSettings(url: Secret(try TestPostgres.shared().adminURL), applicationName: "stream-test")
            )
            let pid = Int64(connection.backendPID)
            await #expect(throws: CancellationError.self) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await connection.stream(sql) { _ in } }
                    var isActive = false
                    while !isActive {
                        let rows = try await running.query(
                            "SELECT state = 'active' AND query LIKE 'SELECT %generate_series%' "
                                + "FROM pg_stat_activity WHERE pid = $1",
                            [.int(pid)]
                        ).rows
                        isActive = try rows.first?[0].bool() ?? false
                    }
                    group.cancelAll()
                    try await group.waitForAll()
                }
            }
            await running.close()
        }
    }

    /// A deadline of the server is one of ours.
    @Test func aStatementTimeoutIsADeadline() async throws {
        try await Self.withConnection { connection in
            try await connection.execute("SET statement_timeout = '200ms'")
            let error = await #expect(throws: TallyError.self) {
                try await connection.stream("SELECT i, pg_sleep(i * 0.01) FROM generate_series(1, 10000) i") { _ in }
            }
            #expect(error?.kind == .deadlineExceeded)
        }
    }

    /// Another statement on the session would throw rows away: neither it nor a second stream goes unnoticed.
    @Test func anotherStatementMeanwhileIsNoticed() async throws {
        try await Self.withConnection { connection in
            let lost = await #expect(throws: TallyError.self) {
                try await connection.stream("SELECT generate_series(1, 50000)", maxRows: 10) { _ in
                    _ = try await connection.query("SELECT 1")
                }
            }
            #expect(lost?.kind == .protocolViolation)
            var rows = 0
            try await connection.stream("SELECT generate_series(1, 5000)", maxRows: 10) { piece in
                rows += piece.count
                await #expect(throws: TallyError.self) { try await connection.stream("SELECT 1") { _ in } }
            }
            #expect(rows == 5_000)
        }
    }

    /// Unlike a cursor's, the plan of a streamed statement may have workers; a worker is a process of its own.
    @Test func parallelWorkersMayHelp() async throws {
        try await Self.withConnection { connection in
            try await connection.execute(
                """
                CREATE FUNCTION pg_temp.own_process() RETURNS integer LANGUAGE plpgsql PARALLEL SAFE
                    AS 'BEGIN RETURN pg_backend_pid(); END';
                SET force_parallel_mode = on
                """
            )
            let own = Int(connection.backendPID)
            var processes: Set<Int> = []
            // All of the server's workers may be busy for a while.
            for _ in 0..<1_000 where processes.subtracting([own]).isEmpty {
                try await connection.stream("SELECT pg_temp.own_process()") { rows in
                    for row in rows { processes.insert(try row[0].int()) }
                }
            }
            #expect(!processes.subtracting([own]).isEmpty)
        }
    }
}
