import Runtime

/// Carries out a few inserts at once: while one transaction ends, the server copies the rows of the next.
///
/// Each lane is a task with one session at a time. Rows of two lanes have different keys, so nobody waits for the other
/// but where some other unique index of the table is violated.
struct InsertLanes: Sendable {
    struct Work: Sendable {
        let rows: RowBatch
        /// The rows are among the missing ones; else they are open dead letters, which are missing once they are well.
        let counted: Bool
    }

    let width: Int
    let inserter: RowInserter
    private let work: BoundedChannel<Work>
    private let done: BoundedChannel<(Work, RowInserter.Outcome)>

    /// - Parameter width: at least 1.
    init(width: Int, inserter: RowInserter) {
        self.width = max(1, width)
        self.inserter = inserter
        work = BoundedChannel(capacity: 1)
        done = BoundedChannel(capacity: max(1, width))
    }

    /// Two hide the end of a transaction behind the next one's rows; more would only hold more of them in memory. One
    /// session is for the target's stream, and one for looking again.
    static func width(connections: Int) -> Int { max(1, min(2, connections - 2)) }

    /// What one lane does until `end`.
    func run() async throws {
        do {
            while let next = try await work.receive() {
                try await done.send((next, try await inserter.insert(next.rows)))
            }
        } catch {
            done.finish(throwing: error)
            throw error
        }
    }

    /// Hands over rows; there must be fewer than `width` of them on the way.
    func begin(_ rows: Work) async throws { try await work.send(rows) }

    /// The next result, in no order. Throws what ended a lane.
    func next() async throws -> (Work, RowInserter.Outcome) {
        guard let result = try await done.receive() else { throw CancellationError() }
        return result
    }

    func end() { work.finish() }
}
