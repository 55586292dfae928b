import Dispatch
import Glibc
import Synchronization

/// Tells when a descriptor can be read, or written: one dispatch source for each direction that was ever waited for,
/// asleep while nobody waits. Owns the descriptor and closes it once both sources have let go of it.
final class Readiness: Sendable {
    enum Direction: Int, Sendable { case reading, writing }

    private struct Side {
        var source: SourceBox?
        /// The source runs, and its next event ends the wait.
        var isArmed = false
        var wait: Wait?
    }

    private struct State {
        var sides = [Side(), Side()]
        var isClosed = false
    }

    private let descriptor: Int32
    private let queue: DispatchQueue
    private let state = Mutex(State())

    init(_ descriptor: Int32, on queue: DispatchQueue) {
        self.descriptor = descriptor
        self.queue = queue
    }

    /// Ends `wait` with `.ready` once the descriptor can be used, has failed, or was shut down; at once when closed.
    ///
    /// One wait a direction at a time.
    func arm(_ direction: Direction, _ wait: Wait) {
        let isClosed = state.withLock { state in
            guard !state.isClosed else { return true }
            var side = state.sides[direction.rawValue]
            side.wait = wait
            if side.source == nil { side.source = make(direction) }
            if !side.isArmed { side.source?.source.resume() }
            side.isArmed = true
            state.sides[direction.rawValue] = side
            return false
        }
        if isClosed { wait.end(.ready) }
    }

    /// Suspended: `arm` lets it run.
    private func make(_ direction: Direction) -> SourceBox {
        let source: any DispatchSourceProtocol =
            switch direction {
            case .reading: DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
            case .writing: DispatchSource.makeWriteSource(fileDescriptor: descriptor, queue: queue)
            }
        source.setEventHandler { [weak self] in self?.tell(direction) }
        source.activate()
        source.suspend()
        return SourceBox(source)
    }

    private func tell(_ direction: Direction) {
        let wait = state.withLock { state -> Wait? in
            guard !state.isClosed, state.sides[direction.rawValue].isArmed else { return nil }
            // Asleep until somebody waits again, or what is not read would be told again and again.
            state.sides[direction.rawValue].source?.source.suspend()
            state.sides[direction.rawValue].isArmed = false
            defer { state.sides[direction.rawValue].wait = nil }
            return state.sides[direction.rawValue].wait
        }
        wait?.end(.ready)
    }

    /// Under the lock, so that it never meets a descriptor which is somebody else's by now.
    func shut(_ how: Int32) {
        state.withLock { state in
            if !state.isClosed { _ = shutdown(descriptor, how) }
        }
    }

    /// Closes the descriptor, as soon as Dispatch has let go of it.
    func close() {
        let sides = state.withLock { state -> [Side] in
            guard !state.isClosed else { return [] }
            state.isClosed = true
            defer { state.sides = [Side(), Side()] }
            let used = state.sides.filter { $0.source != nil }
            if used.isEmpty { _ = Glibc.close(descriptor) }
            return used
        }
        let left = Countdown(sides.count)
        for side in sides {
            guard let source = side.source?.source else { continue }
            source.setCancelHandler { [descriptor] in
                if left.isZeroNow() { _ = Glibc.close(descriptor) }
            }
            source.cancel()
            // A suspended source would never say that it is cancelled.
            if !side.isArmed { source.resume() }
            side.wait?.end(.ready)
        }
    }
}

/// Counts down to the last of several.
private final class Countdown: Sendable {
    private let left: Atomic<Int>

    init(_ count: Int) { left = Atomic(count) }

    func isZeroNow() -> Bool { left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
}
