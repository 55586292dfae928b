import Postgres
import Runtime
import TestKit
import Testing

/// What was quoted means itself to a real server, whatever scalars stand beside the quotes.
@Suite struct PGIdentifierTests {
    /// What would end a literal or a name too early, and what Swift may join with it to one `Character`.
    private static let marks: [Unicode.Scalar] = [
        "'", "\"", "\\", "\u{300}", "\u{301}", "\u{20DD}", "\u{FE0F}", "\u{200D}", "\u{600}", "\u{110BD}", "\r", "\n",
        "\u{1F1E6}", "\u{1100}", "\u{1161}", "a", ";", "$", "%",
    ]

    private static func connect(standard: Bool = true) async throws -> PGConnection {
        try await PGConnection.connect(
            PGSettings(
                url: Secret(try TestPostgres.shared().adminURL),
                applicationName: "quoting-test",
                extra: ["standard_conforming_strings": standard ? "on" : "off", "escape_string_warning": "off"]
            )
        )
    }

    /// At most 15 scalars, so that no name is longer than the server's 63 bytes.
    private static func text(_ random: inout SeededGenerator) -> String {
        var scalars = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 1...15, using: &random) {
            let any = Unicode.Scalar(UInt32.random(in: 1...0x10_FFFF, using: &random))
            let mark = marks[Int.random(in: 0..<marks.count, using: &random)]
            scalars.append(Int.random(in: 0..<4, using: &random) == 0 ? any ?? mark : mark)
        }
        return String(scalars)
    }

    @Test(arguments: [true, false])
    func literalsAndNamesComeBack(standard: Bool) async throws {
        let connection = try await Self.connect(standard: standard)
        for seed in SeededGenerator.seeds() {
            var random = SeededGenerator(seed: seed)
            let text = Self.text(&random)
            let name = Self.text(&random)
            let sql = "SELECT \(PGIdentifier.quoteLiteral(text)) AS \(PGIdentifier.quote(name))"
            let result = try await connection.query(sql)
            // Strings that look alike are equal to Swift: what counts are the bytes.
            let back = try #require(try result.rows.first?[0].string())
            #expect(Array(back.utf8) == Array(text.utf8), "\(random)")
            #expect(result.columns.map { Array($0.name.utf8) } == [Array(name.utf8)], "\(random)")
        }
        await connection.close()
    }

    @Test(arguments: [
        "\u{600}'; DROP TABLE kept; --", "'\u{301}; DROP TABLE kept; --", "\\'\u{301}; DROP TABLE kept; --",
    ])
    func noTextBecomesAStatement(text: String) async throws {
        let connection = try await Self.connect()
        try await connection.execute("CREATE TEMPORARY TABLE kept (); SELECT \(PGIdentifier.quoteLiteral(text))")
        try await connection.execute("SELECT count(*) FROM kept")
        await connection.close()
    }
}
