import Foundation
import TestKit
import Testing

/// Everything at once: writers, three replicas, and a fault each second. At the end both sides are compared by somebody
/// else, and the ledger's story must be legal at every step.
@Suite(.serialized) struct ChaosTests {
    private static let products = 2_000
    /// `TEST_ROUNDS` says how many, so that several processes can share the long form.
    private static var rounds: Int {
        ProcessInfo.processInfo.environment["TEST_ROUNDS"].flatMap { Int($0) } ?? (Measured.isLong ? 200 : 10)
    }

    private struct Tally {
        var lost = 0
        var doubled = 0
        var wrong = 0
    }

    @Test func whateverHappensBothSidesAgreeInTheEnd() async throws {
        let seed = SeededGenerator.seeds(1).first.flatMap { $0 == 1 ? nil : $0 } ?? UInt64.random(in: 2 ... .max)
        print("chaos: TEST_SEED=\(seed) repeats it")
        let server = try RestartablePostgres()
        let replicas = try await Replicas.make(products: Self.products, in: server)
        let writers = Writers(replicas.source, products: 0..<Self.products)
        let fleet = try Fleet(replicas, server)
        var tally = Tally()
        for round in 0..<Self.rounds {
            try await fleet.heal()
            try await Self.storm(fleet, writers, seed: seed &+ UInt64(round), seconds: round % 4 == 3 ? 15 : 5)
            try await fleet.heal()
            try await Self.check(replicas, writers, "round \(round), TEST_SEED=\(seed)", &tally)
        }
        fleet.stop()
        Self.report(fleet, replicas, writers, tally)
        replicas.source.stop()
    }

    /// Writers write and somebody asks for syncs all the while; each second a fault.
    private static func storm(_ fleet: Fleet, _ writers: Writers, seed: UInt64, seconds: Int) async throws {
        // A slow source: most faults then meet a run in the middle.
        fleet.replicas.source.script(StandInFault(.delay(.milliseconds(150)), on: ["find"], times: .max))
        defer { fleet.replicas.source.clearFaults() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                var random = SeededGenerator(seed: seed ^ 0xA5A5)
                while !Task.isCancelled {
                    try writers.write(&random)
                    try? await Task.sleep(for: .milliseconds(Int.random(in: 5...60, using: &random)))
                }
            }
            group.addTask {
                var random = SeededGenerator(seed: seed ^ 0x5A5A)
                while !Task.isCancelled {
                    _ = try? await fleet.anyone(&random)?.start("product_sync")
                    try? await Task.sleep(for: .milliseconds(200))
                }
            }
            defer { group.cancelAll() }
            var random = SeededGenerator(seed: seed)
            for _ in 0..<seconds {
                try await Task.sleep(for: .seconds(1))
                let fault = Fleet.Fault.allCases.randomElement(using: &random) ?? .kill
                try fleet.inject(fault, on: Int.random(in: 0..<3, using: &random))
            }
        }
    }

    /// A quiet sync by the command line, then every value.
    private static func check(_ replicas: Replicas, _ writers: Writers, _ place: String, _ tally: inout Tally)
        async throws
    {
        let place = Comment(rawValue: place)
        try await Eventually.holds("every run has ended", within: .seconds(60)) {
            try replicas.psql("SELECT count(*) FROM etl.runs WHERE state IN ('queued', 'running')") == "0"
        }
        let sync = try TallymanBinary.run(["sync", "--verify", "--json", "--wait", "60"], replicas.settings())
        #expect(sync.exit == .code(0), "\(place): \(sync.outputText) \(sync.errorText)")
        let rows = try replicas.psql("SELECT id, title, price, image, \"sellerId\", quantity FROM product")
            .split(separator: "\n").map(String.init)
        let expected = writers.expected
        let ids = Set(rows.compactMap { $0.split(separator: "|").first })
        tally.doubled += rows.count - ids.count
        tally.lost += expected.count { !ids.contains($0.split(separator: "|")[0]) }
        tally.wrong += Set(rows).symmetricDifference(expected).count
        #expect(Set(rows) == expected, place)
        #expect(rows.count == expected.count, place)
        #expect(try replicas.illegal() == "", place)
        let left = try replicas.psql(
            "SELECT (SELECT count(*) FROM pg_class WHERE relname LIKE 'tallyman%'), "
                + "(SELECT count(*) FROM etl.runs WHERE state IN ('queued', 'running'))"
        )
        #expect(left == "0|0", place)
    }

    private static func report(_ fleet: Fleet, _ replicas: Replicas, _ writers: Writers, _ tally: Tally) {
        let faults = fleet.faults
        Measured.print("chaos, rounds", Self.rounds)
        Measured.print("chaos, faults injected", faults.values.reduce(0, +))
        for (fault, count) in faults.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            Measured.print("chaos, faults of kind \(fault.rawValue)", count)
        }
        let states = try? replicas.psql("SELECT state, count(*) FROM etl.runs GROUP BY 1 ORDER BY 1")
        Measured.print("chaos, runs by state", (states ?? "?").split(separator: "\n").joined(separator: ", "))
        Measured.print("chaos, changes of the source", writers.writes)
        Measured.print("chaos, rows lost", tally.lost)
        Measured.print("chaos, rows doubled", tally.doubled)
        Measured.print("chaos, rows with a wrong value", tally.wrong)
    }
}
