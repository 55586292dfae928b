/// What a connection is doing, as far as it matters for who may be closed.
enum ConnectionPhase: Sendable, Equatable {
    /// Between two requests.
    case idle
    /// Waiting for a head or a body, or for the client's end after the last answer.
    case receiving
    /// A handler runs.
    case handling
    /// An answer is being sent.
    case sending
    /// An answer without an end is being sent.
    case streaming
}

/// Who is connected and who has waited longest: a pure value, without clock or socket. What comes later has a higher
/// number, so order is all the time it needs.
///
/// At the cap the one that has waited longest for its client makes room; where none waits, the one that has been
/// sending longest; a running handler is never disturbed.
struct ConnectionTable: Sendable {
    typealias ID = Int

    enum Admission: Sendable, Equatable {
        case admitted(ID)
        /// Admitted; this one must be closed now.
        case admittedInsteadOf(ID, new: ID)
        /// All are busy, or too many are still closing; try again when one has gone.
        case full
    }

    private struct Entry {
        var phase: ConnectionPhase
        var since: Int
        var isEvicted = false
    }

    private let max: Int
    private var entries: [ID: Entry] = [:]
    private var evicted = 0
    private var sequence = 0

    init(max: Int) {
        self.max = max
    }

    /// Open connections, those being closed included.
    var count: Int { entries.count }

    mutating func admit() -> Admission {
        guard entries.count - evicted >= max else { return .admitted(add()) }
        // Evicted ones close at once, yet a flood must not run ahead of them.
        guard evicted < Swift.max(8, max / 8), let victim = evict() else { return .full }
        return .admittedInsteadOf(victim, new: add())
    }

    /// Marks the one to close now, if any may be.
    mutating func evict() -> ID? {
        let candidates = entries.filter { !$0.value.isEvicted && $0.value.phase != .handling }
        let victim = candidates.min { Self.rank($0.value) < Self.rank($1.value) }
        guard let victim else { return nil }
        entries[victim.key]?.isEvicted = true
        evicted += 1
        return victim.key
    }

    private static func rank(_ entry: Entry) -> (Int, Int) {
        (entry.phase == .idle || entry.phase == .receiving ? 0 : 1, entry.since)
    }

    mutating func enter(_ phase: ConnectionPhase, _ id: ID) {
        sequence += 1
        entries[id]?.phase = phase
        entries[id]?.since = sequence
    }

    func isEvicted(_ id: ID) -> Bool { entries[id]?.isEvicted ?? true }

    mutating func remove(_ id: ID) {
        if let entry = entries.removeValue(forKey: id), entry.isEvicted { evicted -= 1 }
    }

    /// Those in one of `phases`.
    func all(in phases: ConnectionPhase...) -> [ID] {
        entries.filter { phases.contains($0.value.phase) }.map(\.key)
    }

    private mutating func add() -> ID {
        sequence += 1
        entries[sequence] = Entry(phase: .receiving, since: sequence)
        return sequence
    }
}
