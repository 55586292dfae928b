import Dispatch
import Foundation
import Runtime
import Synchronization

/// One of the serial queues that carry all connections: their readiness, their deadlines, and the tasks that serve
/// them. A fixed number, however many connections there are.
///
/// A task that prefers a shard runs on its queue, where the readiness it waits for is told too, so that a request
/// costs no hop between threads; and work elsewhere in the process, such as a sync, does not stand before it.
final class Shard: TaskExecutor {
    private struct Jobs {
        var waiting: [UnownedJob] = []
        /// A drain of them is on the queue.
        var isScheduled = false
    }

    private struct Deadlines {
        var waits: [ObjectIdentifier: (wait: Wait, end: DispatchTime)] = [:]
        /// When the timer fires next; never later than the earliest end.
        var next = DispatchTime.distantFuture
    }

    let queue: DispatchQueue
    private let jobs = Mutex(Jobs())
    private let deadlines = Mutex(Deadlines())
    private let timer: SourceBox

    init(_ number: Int) {
        queue = DispatchQueue(label: "tallyman.http.\(number)")
        // Never cancelled: Dispatch keeps the descriptor of its timers while there is one, and ends the process when
        // it wants to open it again and no descriptor is left.
        let source = DispatchSource.makeTimerSource(queue: queue)
        source.schedule(deadline: .now() + .seconds(3_600), repeating: .seconds(3_600))
        timer = SourceBox(source)
        source.setEventHandler { [self] in expire() }
        source.activate()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        let isFirst = jobs.withLock { jobs in
            jobs.waiting.append(unowned)
            defer { jobs.isScheduled = true }
            return !jobs.isScheduled
        }
        if isFirst { queue.async { [self] in drain() } }
    }

    /// Runs what waits, once; what those jobs add comes after the readiness told meanwhile.
    private func drain() {
        let batch = jobs.withLock { jobs in
            let batch = jobs.waiting
            jobs.waiting = []
            jobs.waiting.reserveCapacity(batch.count)
            return batch
        }
        for job in batch { job.runSynchronously(on: asUnownedTaskExecutor()) }
        let isMore = jobs.withLock { jobs in
            jobs.isScheduled = !jobs.waiting.isEmpty
            return jobs.isScheduled
        }
        if isMore { queue.async { [self] in drain() } }
    }

    /// Ends `wait` with `.timedOut` after `limit` unless `forget` comes first.
    func expire(_ wait: Wait, after limit: Duration) {
        let nanoseconds = max(.zero, limit) / .nanoseconds(1)
        let end = DispatchTime.now() + .nanoseconds(nanoseconds < 1e18 ? Int(nanoseconds) : 1_000_000_000_000_000_000)
        deadlines.withLock { deadlines in
            deadlines.waits[ObjectIdentifier(wait)] = (wait, end)
            // Most limits end later than what is awaited already, and most waits end before their limit, so that the
            // timer is seldom touched.
            if end < deadlines.next { schedule(end, &deadlines) }
        }
    }

    func forget(_ wait: Wait) {
        deadlines.withLock { _ = $0.waits.removeValue(forKey: ObjectIdentifier(wait)) }
    }

    private func schedule(_ end: DispatchTime, _ deadlines: inout Deadlines) {
        deadlines.next = end
        (timer.source as? any DispatchSourceTimer)?.schedule(deadline: end, repeating: .seconds(3_600))
    }

    private func expire() {
        let now = DispatchTime.now()
        let late = deadlines.withLock { deadlines in
            let late = deadlines.waits.values.filter { $0.end <= now }.map(\.wait)
            for wait in late { deadlines.waits[ObjectIdentifier(wait)] = nil }
            deadlines.next = .distantFuture
            if let end = deadlines.waits.values.map(\.end).min() { schedule(end, &deadlines) }
            return late
        }
        for wait in late { wait.end(.timedOut) }
    }

    /// Waits without a thread; false when the task was cancelled.
    func pause(_ limit: Duration) async -> Bool {
        let wait = Wait()
        return await wait.outcome(on: self, within: limit) {} == .timedOut
    }
}

/// All shards of the process.
enum Shards {
    private static let all = (0..<max(1, min(4, ProcessInfo.processInfo.activeProcessorCount))).map { Shard($0) }

    /// Opens what waiting needs, so that it goes on when the process has no descriptor left.
    static func prepare() {
        _ = all
    }

    static func shard(for descriptor: Int32) -> Shard {
        all[Int(descriptor) % all.count]
    }

    /// Waits without a thread; false when the task was cancelled.
    static func pause(_ limit: Duration) async -> Bool {
        await all[0].pause(limit)
    }
}

/// One wait of one task, ended by the first of: what it waits for, its limit, its cancellation.
final class Wait: Sendable {
    enum Outcome: Sendable { case ready, timedOut, cancelled }

    private struct State {
        var continuation: CheckedContinuation<Outcome, Never>?
        var outcome: Outcome?
    }

    private let state = Mutex(State())

    /// Ends it; what comes second changes nothing.
    func end(_ outcome: Outcome) {
        let continuation = state.withLock { state -> CheckedContinuation<Outcome, Never>? in
            guard state.outcome == nil else { return nil }
            state.outcome = outcome
            defer { state.continuation = nil }
            return state.continuation
        }
        continuation?.resume(returning: outcome)
    }

    /// Begins by calling `arm`, and returns how it ended.
    func outcome(on shard: Shard, within limit: Duration, arm: () -> Void) async -> Outcome {
        shard.expire(self, after: limit)
        defer { shard.forget(self) }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let already = state.withLock { state -> Outcome? in
                    if state.outcome == nil { state.continuation = continuation }
                    return state.outcome
                }
                if let already { continuation.resume(returning: already) } else { arm() }
            }
        } onCancel: {
            end(.cancelled)
        }
    }
}

// A dispatch source may be cancelled, suspended and resumed from any thread, by its documentation; the rest is done
// before it is shared.
struct SourceBox: @unchecked Sendable {
    let source: any DispatchSourceProtocol
    init(_ source: any DispatchSourceProtocol) { self.source = source }
}
