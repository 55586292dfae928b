import Engine
import Postgres
import Runtime
import TestKit
import Testing

/// A key longer than an index takes has a letter all the same: it is recorded, counted, found and resolved (INV-5).
@Suite struct LongLetterKeyTests {
    private static let seed: UInt64 = 7

    /// Random, so that no compression makes it fit.
    private static func key(_ length: Int, ending: String) -> String {
        var random = SeededGenerator(seed: seed)
        return String((0..<length).map { _ in "0123456789abcdefü".randomElement(using: &random) ?? "-" }) + ending
    }

    @Test(arguments: [10, 1_000, 2_100, 5_000, 100_000])
    func keysOfAnyLengthHaveLetters(length: Int) async throws {
        let url = try TestPostgres.shared().freshDatabase()
        let pool = PGPool(PGSettings(url: Secret(url), applicationName: "letters-test"), maxConnections: 2)
        try await pool.withConnection { _ = try await EngineMigrations.migrator().up($0) }
        let sink = DeadLetterSink(job: "sync", runID: RunID(), pool: pool)
        let keys = ["a", "b"].map { Self.key(length, ending: $0) }
        let letters = keys.map {
            DeadLetter(key: $0, reason: "too large", kind: "54000", columns: [], fingerprint: Array($0.utf8.suffix(1)))
        }
        try await sink.record(letters, in: nil)
        try await sink.record([letters[1]], in: nil)
        let open = try await sink.openFingerprints(in: nil)
        #expect(open.count == 2, "keys that begin alike are two")
        #expect(keys.map { open[DeadLetter.kept($0)] } == letters.map(\.fingerprint))
        #expect(try TestPostgres.shared().psql(url, "SELECT occurrences FROM etl.dead_letters ORDER BY 1") == "1\n2\n")
        try await sink.resolve(keys: [keys[0]], in: nil)
        #expect(try await sink.openFingerprints(in: nil).keys.sorted() == [DeadLetter.kept(keys[1])])
        // What is kept is a key too, whoever hands it back.
        try await sink.resolve(keys: [DeadLetter.kept(keys[1])], in: nil)
        #expect(try await sink.openFingerprints(in: nil).isEmpty)
        await pool.close()
    }

    @Test func aShortKeyIsKeptAsItIs() {
        let key = Self.key(500, ending: "")
        #expect(DeadLetter.kept(key) == key)
        #expect(DeadLetter.kept(Self.key(5_000, ending: "")).utf8.count <= DeadLetter.keyBytesMax)
    }
}
