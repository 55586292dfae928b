import Dispatch
import Foundation
import Glibc
import Runtime
import Synchronization

/// One of the serial queues that carry all connections: their readiness, their deadlines, and the tasks that serve
/// them. A fixed number, however many connections there are.
///
/// A task that prefers a shard runs on its queue, where the readiness it waits for is told too, so that a request
/// costs no hop between threads; and work elsewhere in the process, such as a sync, does not stand before it. While
/// there is something to do the queue asks the kernel itself; only when nothing is left does it wait for Dispatch.
final class Shard: TaskExecutor {
    private struct Jobs {
        var waiting: [UnownedJob] = []
        /// Room for the next ones, kept from the last.
        var spare: [UnownedJob] = []
        /// A turn runs, or will.
        var isScheduled = false
    }

    private struct Watched {
        var descriptors: [UInt64: Readiness] = [:]
        var pauses: [ObjectIdentifier: WaitingPlace] = [:]
        var lastToken: UInt64 = 0
    }

    /// Rounds of jobs and readiness before what else is on the queue, such as deadlines, has its turn.
    private static let roundsMax = 32

    private let queue: DispatchQueue
    private let poll: Poll?
    private let jobs = Mutex(Jobs())
    private let watched = Mutex(Watched())
    private let deadline: Deadline
    private let told: SourceBox?

    init(_ number: Int) {
        let (queue, poll) = (DispatchQueue(label: "tallyman.http.\(number)"), Poll())
        let source = poll.map { DispatchSource.makeReadSource(fileDescriptor: $0.descriptor, queue: queue) }
        (self.queue, self.poll) = (queue, poll)
        told = source.map { SourceBox($0) }
        deadline = Deadline(on: queue)
        deadline.begin { [self] in expire() }
        source?.setEventHandler { [self] in turn() }
        source?.activate()
    }

    /// Nanoseconds on the clock of all waits.
    static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

    static func end(of limit: Duration) -> UInt64 {
        let nanoseconds = max(.zero, limit) / .nanoseconds(1)
        return now + (nanoseconds < 1e18 ? UInt64(nanoseconds) : 1_000_000_000_000_000_000)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let unowned = UnownedJob(job)
        let isFirst = jobs.withLock { jobs in
            jobs.waiting.append(unowned)
            defer { jobs.isScheduled = true }
            return !jobs.isScheduled
        }
        if isFirst { queue.async { [self] in turn() } }
    }

    /// Jobs and readiness in turns, until there is neither, or others have waited long enough.
    private func turn() {
        jobs.withLock { $0.isScheduled = true }
        var rounds = 0
        while rounds < Self.roundsMax {
            rounds += 1
            let ran = runJobs()
            if tellReady() == 0, ran == 0 { break }
        }
        let isMore = jobs.withLock { jobs in
            jobs.isScheduled = !jobs.waiting.isEmpty || rounds == Self.roundsMax
            return jobs.isScheduled
        }
        if isMore { queue.async { [self] in turn() } }
    }

    /// Runs what waits, once; returns how many that were.
    private func runJobs() -> Int {
        var batch = jobs.withLock { jobs in
            let batch = jobs.waiting
            jobs.waiting = jobs.spare
            jobs.spare = []
            return batch
        }
        guard !batch.isEmpty else { return 0 }
        for job in batch { job.runSynchronously(on: asUnownedTaskExecutor()) }
        let count = batch.count
        batch.removeAll(keepingCapacity: true)
        jobs.withLock { $0.spare = batch }
        return count
    }

    private func tellReady() -> Int {
        guard let poll else { return 0 }
        return poll.next { event in
            watched.withLock { $0.descriptors[event.token] }?.tell(event)
        }
    }

    /// Tells `readiness` of every change of `descriptor` from now on, until `forget`.
    func watch(_ descriptor: Int32, _ readiness: Readiness) -> UInt64? {
        let token = watched.withLock { watched in
            watched.lastToken += 1
            watched.descriptors[watched.lastToken] = readiness
            return watched.lastToken
        }
        if let poll, poll.add(descriptor, token: token) { return token }
        watched.withLock { _ = $0.descriptors.removeValue(forKey: token) }
        return nil
    }

    func forget(_ descriptor: Int32, _ token: UInt64) {
        poll?.remove(descriptor)
        watched.withLock { _ = $0.descriptors.removeValue(forKey: token) }
    }

    /// Looks for waits that are over at `end`, or before.
    func wake(at end: UInt64) { deadline.wake(at: end) }

    private func expire() {
        let now = Self.now
        let (descriptors, pauses) = watched.withLock { (Array($0.descriptors.values), Array($0.pauses.values)) }
        let next = descriptors.reduce(UInt64.max) { min($0, $1.expire(now)) }
        wake(at: pauses.reduce(next) { min($0, $1.expire(now)) })
    }

    /// Waits without a thread; false when the task was cancelled.
    func pause(_ limit: Duration) async -> Bool {
        let place = WaitingPlace()
        watched.withLock { $0.pauses[ObjectIdentifier(place)] = place }
        defer { watched.withLock { _ = $0.pauses.removeValue(forKey: ObjectIdentifier(place)) } }
        return await place.wait(on: self, until: Self.end(of: limit)) == .timedOut
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
