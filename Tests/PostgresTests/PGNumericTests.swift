import Postgres
import Runtime
import TestKit
import Testing

@Suite struct PGNumericTests {
    private static let texts = [
        "0", "1", "-1", "19.99", "0.1", "0.0001", "0.00001", "10000", "9999", "123456789.987654321", "-0.5", "1e20",
        "1e-20",
        "99999999999999999999.00000000000000000001", "NaN", "Infinity", "-Infinity", "100", "0.00012345", "-10000.0001",
    ]

    private static func connection() async throws -> PGConnection {
        let url = try TestPostgres.shared().freshDatabase()
        return try await PGConnection.connect(PGSettings(url: Secret(url), applicationName: "test"))
    }

    /// What we write by COPY BINARY is the number that PostgreSQL's own parser makes of the text, and reads back equal.
    @Test func agreesWithTheServer() async throws {
        let connection = try await Self.connection()
        try await connection.execute("CREATE TABLE n (t text, v numeric)")
        try await connection.copyInStart("COPY n FROM STDIN (FORMAT binary)")
        for text in Self.texts {
            let numeric = try #require(PGNumeric(decimalText: text))
            var content: [UInt8] = []
            numeric.append(to: &content)
            var row: [UInt8] = [0, 2, 0, 0, 0, UInt8(text.utf8.count)] + Array(text.utf8)
            row += [0, 0, 0, UInt8(content.count)] + content
            try await connection.copyInSend(row)
        }
        #expect(try await connection.copyInFinish() == Self.texts.count)
        let wrong = try await connection.query("SELECT t FROM n WHERE v IS DISTINCT FROM t::numeric").rows
        #expect(try wrong.map { try $0[0].string() } == [])
        let rows = try await connection.query("SELECT t, v FROM n").rows
        for row in rows {
            let read = row[1].bytes.flatMap { PGNumeric(binary: $0.span) }
            #expect(read == PGNumeric(decimalText: try row[0].string()))
        }
        await connection.close()
    }

    @Test(arguments: 0..<200)
    func doublesTakeTheirShortestDecimal(seed: Int) throws {
        var random = SystemRandomNumberGenerator()
        let value = seed == 0 ? 19.99 : Double(bitPattern: UInt64.random(in: 0...UInt64.max, using: &random))
        guard value.isFinite else { return }
        let text = PGNumeric.shortest(of: value).text
        #expect(Double(text) == value, "\(value) became \(text)")
        if seed == 0 { #expect(text == "19.99") }
    }

    @Test(arguments: [
        ("19.995", 2, "20"), ("-19.995", 2, "-20"), ("0.004", 2, "0"), ("1234", -2, "1200"), ("1250", -2, "1300"),
        ("9.99", 1, "10"), ("5", 2, "5"),
    ])
    func roundsHalfAwayFromZero(text: String, scale: Int, expected: String) throws {
        #expect(try #require(PGNumeric(decimalText: text)).rounded(toScale: scale).text == expected)
    }

    @Test func errorsKeepTheStateAndNoValue() async throws {
        let connection = try await Self.connection()
        try await connection.execute(
            "CREATE TABLE u (id int PRIMARY KEY, s text); INSERT INTO u VALUES (1, 'secret-value')"
        )
        let error = await #expect(throws: TallyError.self) {
            _ = try await connection.query("INSERT INTO u VALUES ($1, $2)", [.int(1), .text("secret-value")])
        }
        #expect(error?.serverError?.sqlState == "23505")
        #expect(error?.kind == .constraintViolated)
        #expect(error.map { "\($0)" }?.contains("secret-value") == false)
        await connection.close()
    }

    @Test func aCancelledTaskStopsTheServer() async throws {
        let connection = try await Self.connection()
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                do { _ = try await connection.query("SELECT pg_sleep(60)") } catch { return true }
                return false
            }
            group.cancelAll()
            #expect(await group.next() == true)
        }
        await connection.close()
    }

    @Test func catalogKnowsColumnsAndKeys() async throws {
        let connection = try await Self.connection()
        try await connection.execute(
            "CREATE TABLE \"Odd\" (id varchar(24) COLLATE \"C\" PRIMARY KEY, tags text[], n numeric(10,2) NOT NULL)"
        )
        let table = try #require(try await PGCatalog.table(connection, schema: nil, name: "Odd"))
        #expect(table.columns.map(\.name) == ["id", "tags", "n"])
        #expect(table.columns[0].collation?.isByteOrder == true)
        #expect(table.columns[1].type.elementOID == 25)
        #expect(table.columns[2].notNull)
        #expect(table.uniqueIndexes.map(\.columns) == [["id"]])
        #expect(try await PGCatalog.table(connection, schema: nil, name: "none") == nil)
        await connection.close()
    }
}
