import Runtime
import Synchronization

/// A measure of a day that is to be read, and what the warehouse holds of it.
struct StageItem: Sendable {
    let measure: Measure
    let day: CalendarDay
    let before: RowDigest
}

/// What the sessions that read one window share: the items nobody has taken yet, the results, the warehouse's session.
final class StageQueue: Sendable {
    private struct State {
        var taken = 0
        var isAssisted = false
        var after: [RowDigest?]
    }

    private let items: [StageItem]
    private let state: Mutex<State>
    private let session = BoundedChannel<Void>(capacity: 1)

    init(_ items: [StageItem]) {
        self.items = items
        state = Mutex(State(after: items.map { _ in nil }))
    }

    /// The next item and its place; nil when all are taken.
    func next() -> (place: Int, item: StageItem)? {
        state.withLock { state in
            guard state.taken < items.count else { return nil }
            defer { state.taken += 1 }
            return (state.taken, items[state.taken])
        }
    }

    func finish(_ place: Int, _ after: RowDigest) { state.withLock { $0.after[place] = after } }

    /// Whether a second session has begun to read.
    var isAssisted: Bool {
        get { state.withLock { $0.isAssisted } }
        set { state.withLock { $0.isAssisted = newValue } }
    }

    var isDone: Bool { state.withLock { $0.after.allSatisfy { $0 != nil } } }

    /// The results in the order of the items; those that are not done are left out.
    var staged: [StagedDay] {
        state.withLock { state in
            zip(items, state.after).compactMap { item, after in
                after.map { StagedDay(measure: item.measure, day: item.day, before: item.before, after: $0) }
            }
        }
    }

    /// Waits until nobody else writes through the warehouse's session.
    ///
    /// Who fails while he has it does not free it: a COPY may still be open, and the others are cancelled.
    func occupySession() async throws { try await session.send(()) }

    func freeSession() { session.takeNow() }
}
