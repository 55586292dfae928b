import Engine
import Foundation
import Postgres
import Runtime
import TableExport
import TestKit

/// Writers that act on the source between any two steps of an export, and kills of the export.
///
/// Everything is drawn from one seed: who begins, writes, moves rows forward, uses a savepoint, commits or rolls back,
/// and where the export is killed. Cursor values tie heavily and are often older than the moment of their commit.
actor InterleavingStory {
    enum Cursor: String, CaseIterable, Sendable {
        /// Truncated times, ties told apart by the id.
        case timeAndID
        /// Truncated times, and nothing to tell ties apart.
        case timeAlone
        /// A sequence: numbers are taken in one order and committed in another.
        case sequence
    }

    struct Killed: Error {}

    private var random: SeededGenerator
    private let cursor: Cursor
    private var writers: [PGConnection] = []
    private var isOpen: [Bool] = []
    private var nextID = 1
    private(set) var acts = 0
    private(set) var kills = 0

    init(seed: UInt64, cursor: Cursor) {
        random = SeededGenerator(seed: seed)
        self.cursor = cursor
    }

    static func sourceSQL(_ cursor: Cursor) -> String {
        cursor == .sequence
            ? """
            CREATE SEQUENCE ticket;
            CREATE TABLE event (id bigint PRIMARY KEY, at bigint, n int, w text); CREATE INDEX ON event (at, id)
            """
            : """
            CREATE TABLE event (id bigint PRIMARY KEY, at timestamptz, n int, w text);
            CREATE INDEX ON event (at, id)
            """
    }

    static func targetSQL(_ cursor: Cursor) -> String {
        let type = cursor == .sequence ? "bigint" : "timestamptz"
        return "CREATE TABLE analytics_raw.event (id bigint PRIMARY KEY, at \(type), n int, w text)"
    }

    static func yaml(_ cursor: Cursor) -> String {
        """
        exports:
          - key: Event
            source: {table: event, cursor: {field: at\(cursor == .timeAlone ? "" : ", idField: id")}}
            destination: {table: event, conflictColumns: [id]}
        """
    }

    func open(_ settings: PGSettings, writers count: Int) async throws {
        for _ in 0..<count {
            writers.append(try await PGConnection.connect(settings))
            isOpen.append(false)
        }
    }

    func close() async {
        for writer in writers { await writer.close() }
    }

    /// A step of the export: some writers act, and sometimes the export dies.
    func step(mayKill: Bool) async throws {
        for _ in 0..<Int.random(in: 0...2, using: &random) { try await act() }
        guard mayKill, Int.random(in: 0..<40, using: &random) == 0 else { return }
        kills += 1
        throw Killed()
    }

    func batchSize() -> Int { Int.random(in: 1...6, using: &random) }

    /// Ends every open transaction.
    func settle() async throws {
        for index in writers.indices where isOpen[index] { try await end(index) }
    }

    func act() async throws {
        acts += 1
        let index = Int.random(in: writers.indices, using: &random)
        if !isOpen[index] {
            if Bool.random(using: &random) { return try await write(index) }
            try await writers[index].execute("BEGIN")
            isOpen[index] = true
            return
        }
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<6: try await write(index)
        case 6:
            try await writers[index].execute("SAVEPOINT s")
            try await write(index)
            if Bool.random(using: &random) { try await writers[index].execute("ROLLBACK TO SAVEPOINT s") }
        default: try await end(index)
        }
    }

    private func end(_ index: Int) async throws {
        let isCommit = Int.random(in: 0..<6, using: &random) > 0
        try await writers[index].execute(isCommit ? "COMMIT" : "ROLLBACK")
        isOpen[index] = false
    }

    /// Now and then in whole seconds, so that what commits later carries what an export has long passed.
    private func value() -> String {
        guard cursor != .sequence else { return "nextval('ticket')" }
        let clock = Bool.random(using: &random) ? "now()" : "clock_timestamp()"
        let unit = ["second", "second", "milliseconds", "microseconds"].randomElement(using: &random) ?? "second"
        return "date_trunc('\(unit)', \(clock))"
    }

    private func write(_ index: Int) async throws {
        if nextID == 1 || Int.random(in: 0..<3, using: &random) > 0 {
            let count = Int.random(in: 1...3, using: &random)
            let value = value()
            let rows = (0..<count).map { "(\(nextID + $0), \(value), 0, 'w\(index)')" }.joined(separator: ", ")
            nextID += count
            try await writers[index].execute("INSERT INTO event VALUES \(rows)")
        } else {
            // A row moves forward; one that another transaction holds is left to it.
            let low = Int.random(in: max(1, nextID - 30)..<nextID, using: &random)
            try await writers[index].execute(
                "UPDATE event SET n = n + 1, at = greatest(at, \(value())) WHERE id = "
                    + "(SELECT id FROM event WHERE id >= \(low) ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)"
            )
        }
    }
}
