import Runtime

/// Carries out a few writes at once: while one transaction ends, the server works on the rows of the next.
///
/// Each lane is a task with one session at a time. Rows of two lanes have different keys, so nobody waits for the other
/// but where another unique index of the table is violated, or a trigger of the shop's writes one row for many.
struct WriteLanes: Sendable {
    enum Work: Sendable {
        case insert(RowBatch)
        case update(RowBatch, replacing: RowBatch)

        var rows: RowBatch {
            switch self {
            case .insert(let rows), .update(let rows, _): rows
            }
        }
    }

    struct Order: Sendable {
        let work: Work
        /// The rows are among the missing or stale ones already; else they are open dead letters, which are once they
        /// are well.
        let counted: Bool
    }

    enum Outcome: Sendable {
        case inserted(RowInserter.Outcome)
        case updated(RowUpdater.Outcome)
    }

    let width: Int
    private let inserter: RowInserter
    private let updater: RowUpdater
    private let orders: BoundedChannel<Order>
    private let done: BoundedChannel<(Order, Outcome)>

    /// - Parameter width: at least 1.
    init(width: Int, writer: TargetWriter) {
        self.width = max(1, width)
        inserter = RowInserter(writer: writer)
        updater = RowUpdater(writer: writer)
        orders = BoundedChannel(capacity: 1)
        done = BoundedChannel(capacity: max(1, width))
    }

    /// Two hide the end of a transaction behind the next one's rows; more would only hold more of them in memory. One
    /// session is for the target's stream, and one for looking again.
    static func width(connections: Int) -> Int { max(1, min(2, connections - 2)) }

    /// What one lane does until `end`.
    func run() async throws {
        do {
            while let order = try await orders.receive() {
                try await done.send((order, try await carryOut(order.work)))
            }
        } catch {
            done.finish(throwing: error)
            throw error
        }
    }

    private func carryOut(_ work: Work) async throws -> Outcome {
        switch work {
        case .insert(let rows): .inserted(try await inserter.insert(rows))
        case .update(let rows, let target): .updated(try await updater.update(rows, replacing: target))
        }
    }

    /// Hands over rows; there must be fewer than `width` orders on the way.
    func begin(_ order: Order) async throws { try await orders.send(order) }

    /// The next result, in no order. Throws what ended a lane.
    func next() async throws -> (Order, Outcome) {
        guard let result = try await done.receive() else { throw CancellationError() }
        return result
    }

    func end() { orders.finish() }
}
