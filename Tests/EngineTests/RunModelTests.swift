import Engine
import Logging
import Postgres
import Runtime
import TestKit
import Testing

/// The run's state machine: every sequence of moves up to length eight, and the ledger's own answer to each move.
@Suite struct RunModelTests {
    private static let depth = 8

    /// Whether a history is one that operators may ever see.
    private static func isLegal(_ path: [RunState]) -> Bool {
        guard path.first == .queued else { return false }
        // Nothing follows an end; nothing ends well that did not run; a run begins once.
        if path.dropLast().contains(where: \.isFinal) { return false }
        if path.filter({ $0 == .running }).count > 1 || path.filter({ $0 == .queued }).count > 1 { return false }
        let hasRun = path.contains(.running)
        switch path.last {
        case .queued?: return !hasRun
        case .running?: return true
        case .succeeded?, .partial?, .interrupted?: return hasRun
        case .skipped?: return !hasRun
        case .failed?, .cancelled?: return true
        case nil: return false
        }
    }

    /// 8⁸ sequences of wanted moves: each move is made when the machine allows it, else it changes nothing.
    @Test func everySequenceOfMovesEndsLegally() {
        var sequences = 0
        var seen: Set<[RunState]> = []
        func walk(_ path: [RunState], _ left: Int) {
            if seen.insert(path).inserted { #expect(Self.isLegal(path), "\(path)") }
            guard left > 0, let now = path.last else {
                sequences += 1
                return
            }
            var refused = 0
            for next in RunState.allCases {
                if now.successors.contains(next) { walk(path + [next], left - 1) } else { refused += 1 }
            }
            // A refused move leaves the path as it is: all of them are one and the same sequence from here on.
            if refused > 0 {
                let before = sequences
                walk(path, left - 1)
                sequences = before + refused * (sequences - before)
            }
        }
        walk([.queued], Self.depth)
        #expect(sequences == 16_777_216, "8⁸ sequences")
        #expect(seen.count == 10, "all histories a run can have")
    }

    /// The ledger moves exactly as the machine says, and a refused move changes nothing.
    @Test func theLedgerKnowsTheSameMoves() async throws {
        let url = try TestPostgres.shared().freshDatabase()
        let pool = PGPool(PGSettings(url: Secret(url), applicationName: "tallyman-test"), maxConnections: 2)
        _ = try await pool.withConnection { try await EngineMigrations.migrator().up($0) }
        let ledger = Ledger(state: pool)
        let ways: [RunState: [RunState]] = [
            .queued: [], .running: [.running], .succeeded: [.running, .succeeded], .partial: [.running, .partial],
            .failed: [.running, .failed], .cancelled: [.cancelled], .interrupted: [.running, .interrupted],
            .skipped: [.skipped],
        ]
        for from in RunState.allCases {
            for next in RunState.allCases {
                let id = RunID()
                try await ledger.insert(id, "job", RunOptions(), trigger: .api, requestedBy: "test", holder: "test")
                for step in ways[from] ?? [] { try await ledger.move(id, to: step) }
                let before = try await ledger.run(id)
                if from.successors.contains(next) {
                    try await ledger.move(id, to: next)
                } else {
                    await #expect(throws: TallyError.self) { try await ledger.move(id, to: next) }
                }
                let after = try await ledger.run(id)
                #expect(after?.state == (from.successors.contains(next) ? next : from), "\(from) to \(next)")
                if !from.successors.contains(next) { #expect(after?.finishedAt == before?.finishedAt) }
            }
        }
        await pool.close()
    }
}
