import Cron
import Foundation
import TestKit
import Testing

/// Our fires against those of cronsim, and on every fifth line also croniter: libraries nobody here wrote.
///
/// `TALLYMAN_LONG_TESTS=1` asks about every expression in every zone; `TEST_SEED` repeats or varies a run.
@Suite struct CronOracleTests {
    static let environment = ProcessInfo.processInfo.environment
    static let canAsk = environment["TEST_PYTHON"] != nil || environment["CI"] != nil
    static let expressions = 105_000
    /// Prime to the seven zones, so that each has its share.
    static let croniterEvery = 5

    @Test(.enabled(if: canAsk, "TEST_PYTHON names no Python with cronsim and croniter; bin/test sets it"))
    func firesAsTheOraclesSay() async throws {
        let seed = try #require(SeededGenerator.seeds(1).first)
        var generator = OracleCases(seed: seed)
        let cases = generator.make(Self.expressions, inEveryZone: Self.environment["TALLYMAN_LONG_TESTS"] == "1")
        print("CronOracleTests: \(cases.count) lines, \(SeededGenerator(seed: seed))")
        let oracle = try Oracle(cases, croniterEvery: Self.croniterEvery)
        defer { oracle.remove() }
        let ours = try Self.answers(cases)
        let theirs = try await oracle.answers()
        try #require(theirs.count == cases.count)

        var tally = OracleTally()
        for index in cases.indices { tally.compare(cases[index], ours[index], theirs[index]) }
        print("CronOracleTests: \(tally)")
        let first = tally.disagreements.prefix(20).joined(separator: "\n")
        #expect(tally.disagreements.isEmpty, "\(tally.disagreements.count) disagree, seed \(seed):\n\(first)")
    }

    private static func answers(_ cases: [OracleCase]) throws -> [OracleAnswer] {
        var zones: [String: TimeZone] = [:]
        for name in OracleCases.zones { zones[name] = TimeZone(identifier: name) }
        return try cases.map { try OracleAnswer(ours: $0, zone: #require(zones[$0.zone])) }
    }
}
