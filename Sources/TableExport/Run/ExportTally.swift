import Synchronization

/// What a run did, row by row.
struct ExportTally: Sendable, Equatable {
    var read = 0
    var written = 0
    var unchanged = 0
    /// Read behind the cursor.
    var late = 0
    /// Left out by a Swift transform.
    var dropped = 0
    var deadLetters = 0
    var batches = 0
    /// Rows of the target without one in the source; nil while no keys were compared.
    var removed: DeletedKeys.Result?
}

/// The tally of a run over all its attempts: what one of them committed stays counted when it fails later.
///
/// A row that two attempts read or set aside counts for both.
final class TallyBook: Sendable {
    private struct State {
        var tally = ExportTally()
        var mayHaveWritten = false
    }
    private let state = Mutex(State())

    var tally: ExportTally { state.withLock { $0.tally } }

    /// Whether any attempt began a transaction that writes rows or letters; its commit may have been asynchronous.
    var mayHaveWritten: Bool { state.withLock { $0.mayHaveWritten } }

    func noteWriting() { state.withLock { $0.mayHaveWritten = true } }

    func add(_ change: (inout ExportTally) -> Void) { state.withLock { change(&$0.tally) } }

    func add(removed: DeletedKeys.Result) {
        add { tally in
            let before = tally.removed ?? DeletedKeys.Result()
            tally.removed = DeletedKeys.Result(
                deleted: before.deleted + removed.deleted,
                marked: before.marked + removed.marked
            )
        }
    }
}
