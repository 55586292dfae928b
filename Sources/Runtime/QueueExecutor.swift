package import Dispatch

/// A serial executor on a dispatch queue of its own, for an actor that owns a C handle.
///
/// A blocking driver call made by such an actor occupies a thread of Dispatch, never one of the cooperative pool.
package final class QueueExecutor: SerialExecutor, Sendable {
    package let queue: DispatchQueue

    package init(label: String) {
        queue = DispatchQueue(label: label)
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        queue.async { unsafe unowned.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        unsafe UnownedSerialExecutor(ordinary: self)
    }
}
