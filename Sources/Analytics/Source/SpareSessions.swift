import Synchronization

/// Sessions of the source beyond one for each job that runs at once: a window borrows one while nobody else does.
package final class SpareSessions: Sendable {
    private let left: Mutex<Int>

    package init(_ count: Int) { left = Mutex(max(0, count)) }

    /// Whether one was free; it is the caller's until `giveBack`.
    func take() -> Bool {
        left.withLock { left in
            guard left > 0 else { return false }
            left -= 1
            return true
        }
    }

    func giveBack() { left.withLock { $0 += 1 } }
}
