import Foundation
import Postgres
import Runtime
import TestKit
import Testing

/// COPY in both forms, and errors that come in the middle of one.
@Suite struct PGCopyTests {
    private static func connect() async throws -> PGConnection {
        try await PGConnection.connect(
            PGSettings(url: Secret(try TestPostgres.shared().adminURL), applicationName: "copy-test")
        )
    }

    private static func all(_ connection: PGConnection) async throws -> PGCopyChunk {
        var all = PGCopyChunk(bytes: [], rowStarts: [])
        while let chunk = try await connection.copyOutNext(maxRows: 7) {
            all.rowStarts += chunk.rowStarts.map { $0 + Int32(all.bytes.count) }
            all.bytes += chunk.bytes
        }
        return all
    }

    @Test(arguments: [PGCopyFormat.binary, .text])
    func rowsGoOutAndIn(format: PGCopyFormat) async throws {
        let connection = try await Self.connect()
        try await connection.execute("CREATE TEMPORARY TABLE a (i int, t text); CREATE TEMPORARY TABLE b (LIKE a)")
        try await connection.execute(
            "INSERT INTO a SELECT i, nullif(repeat(E'x\\n\\t\\\\', i % 4), '') FROM generate_series(1, 50) i"
        )
        try await connection.copyOutStart("COPY a TO STDOUT (FORMAT \(format.rawValue))", format: format)
        let rows = try await Self.all(connection)
        #expect(rows.rowStarts.count == 50)
        try await connection.copyInStart("COPY b FROM STDIN (FORMAT \(format.rawValue))", format: format)
        try await connection.copyInSend(rows.bytes)
        #expect(try await connection.copyInFinish() == 50)
        let differ = try await connection.query("SELECT count(*) FROM (TABLE a EXCEPT ALL TABLE b) d").rows.first?[0]
            .int()
        #expect(differ == 0)
        await connection.close()
    }

    /// Neither a time without end nor one that no server knows ends the process.
    @Test(arguments: ["infinity", "-infinity"]) func timesThatAreNoInstantsAreErrors(text: String) async throws {
        let connection = try await Self.connect()
        let row = try await connection.query("SELECT '\(text)'::timestamptz").rows[0]
        let error = #expect(throws: TallyError.self) { try row[0].date() }
        #expect(error?.kind == .schemaMismatch)
        await #expect(throws: TallyError.self) {
            try await connection.query("SELECT $1::timestamptz", [.timestamp(Date(timeIntervalSince1970: 1e30))])
        }
        #expect(try await connection.query("SELECT 1").rows.count == 1)
        await connection.close()
    }

    /// An error is thrown behind every row that was sent before it, and the session is of use again.
    @Test func whatCameBeforeAnErrorIsHandedOut() async throws {
        let connection = try await Self.connect()
        try await connection.copyOutStart(
            "COPY (SELECT 1000 / (30 - i) FROM generate_series(1, 40) i) TO STDOUT",
            format: .text
        )
        var rows = 0
        let error = await #expect(throws: TallyError.self) {
            while let chunk = try await connection.copyOutNext(maxRows: 8) { rows += chunk.rowStarts.count }
        }
        #expect(error?.kind == .recordMalformed)
        #expect(rows == 29)
        #expect(try await connection.query("SELECT 1").rows.count == 1)
        await connection.close()
    }

    @Test func aMigrationMayAskForNoTransaction() throws {
        let text = "-- migrate:up transaction:false\nSELECT 1;\n-- migrate:down\nSELECT 2;\n"
        let migration = try PGMigration(fileName: "20260101000000_x.sql", text: text)
        #expect(!migration.upInTransaction)
        #expect(migration.downInTransaction)
        #expect(migration.up == "SELECT 1;")
    }
}
