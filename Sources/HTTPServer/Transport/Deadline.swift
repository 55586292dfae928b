import Dispatch
import Synchronization

/// A shard's timer: rings at the earliest end of a wait that it was told of. Most waits end before their limit and most
/// limits end later than one that is awaited already, so that the timer is seldom touched.
final class Deadline: Sendable {
    /// When it rings next; never later than the earliest end.
    private let next = Atomic<UInt64>(.max)
    private let setting = Mutex(())
    private let timer: SourceBox

    init(on queue: DispatchQueue) {
        // Never cancelled: Dispatch keeps the descriptor of its timers while there is one, and ends the process when
        // it wants to open it again and no descriptor is left.
        let source = DispatchSource.makeTimerSource(queue: queue)
        source.schedule(deadline: .now() + .seconds(3_600), repeating: .seconds(3_600))
        timer = SourceBox(source)
    }

    /// Calls `ring` at each end; it looks at all waits and calls `wake` for the earliest that goes on.
    func begin(_ ring: @escaping @Sendable () -> Void) {
        timer.source.setEventHandler { [self] in
            // Before the waits are looked at: one that begins meanwhile sets the timer itself.
            setting.withLock { _ in next.store(.max, ordering: .sequentiallyConsistent) }
            ring()
        }
        timer.source.activate()
    }

    func wake(at end: UInt64) {
        guard end < next.load(ordering: .sequentiallyConsistent) else { return }
        setting.withLock { _ in
            guard end < next.load(ordering: .sequentiallyConsistent) else { return }
            next.store(end, ordering: .sequentiallyConsistent)
            let deadline = DispatchTime(uptimeNanoseconds: end)
            (timer.source as? any DispatchSourceTimer)?.schedule(deadline: deadline, repeating: .seconds(3_600))
        }
    }
}

// A dispatch source may be cancelled, suspended and resumed from any thread, by its documentation; the rest is done
// before it is shared.
struct SourceBox: @unchecked Sendable {
    let source: any DispatchSourceProtocol
    init(_ source: any DispatchSourceProtocol) { self.source = source }
}
