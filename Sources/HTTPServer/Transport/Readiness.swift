import Dispatch
import Runtime
import Synchronization

/// A wait for a descriptor, a moment, or both, that holds no thread: one or two dispatch sources while it lasts.
///
/// The descriptor must stay open until the wait has returned; it has let go of it by then.
final class Readiness: Sendable {
    enum Direction: Sendable { case reading, writing }
    enum Outcome: Sendable { case ready, timedOut, cancelled }

    private let sources: [SourceBox]
    private let outcome = Mutex<Outcome?>(nil)

    private init(_ sources: [SourceBox]) {
        self.sources = sources
    }

    /// Returns once the descriptor can be used, has failed, or was shut down; after `limit`; or when cancelled.
    static func wait(
        for direction: Direction,
        _ descriptor: Int32,
        within limit: Duration?,
        on queue: DispatchQueue
    ) async -> Outcome {
        let source: any DispatchSourceProtocol =
            switch direction {
            case .reading: DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
            case .writing: DispatchSource.makeWriteSource(fileDescriptor: descriptor, queue: queue)
            }
        guard let limit else { return await Readiness([SourceBox(source)]).wait(timer: false) }
        return await Readiness([SourceBox(source), timer(limit, queue)]).wait(timer: true)
    }

    /// Returns after `limit`, or when cancelled; unlike a sleeping task it leaves nothing behind when cancelled.
    static func pause(_ limit: Duration, on queue: DispatchQueue) async -> Outcome {
        await Readiness([timer(limit, queue)]).wait(timer: true)
    }

    private static func timer(_ limit: Duration, _ queue: DispatchQueue) -> SourceBox {
        let timer = DispatchSource.makeTimerSource(queue: queue)
        let nanoseconds = max(.zero, limit) / .nanoseconds(1)
        timer.schedule(deadline: .now() + .nanoseconds(nanoseconds < 1e18 ? Int(nanoseconds) : Int.max))
        return SourceBox(timer)
    }

    /// The last source is the timer when there is one.
    private func wait(timer: Bool) async -> Outcome {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // The kernel's registration is gone when the cancel handler runs, so the descriptor may be closed.
                sources[0].source.setCancelHandler { [self] in
                    continuation.resume(returning: outcome.withLock { $0 } ?? .cancelled)
                }
                for (index, box) in sources.enumerated() {
                    let isTimer = timer && index == sources.count - 1
                    box.source.setEventHandler { [self] in end(isTimer ? .timedOut : .ready) }
                }
                for box in sources { box.source.activate() }
            }
        } onCancel: {
            end(.cancelled)
        }
    }

    private func end(_ how: Outcome) {
        let isFirst = outcome.withLock { outcome in
            guard outcome == nil else { return false }
            outcome = how
            return true
        }
        if isFirst { for box in sources.reversed() { box.source.cancel() } }
    }
}

/// The queues that carry the readiness of all connections: a fixed number, however many connections there are.
enum TransportQueues {
    private static let queues = (0..<4).map { DispatchQueue(label: "tallyman.http.\($0)") }

    /// Never cancelled: Dispatch keeps the descriptor of its timers while there is one, and ends the process when it
    /// wants to open it again and no descriptor is left.
    private static let keeper: SourceBox = {
        let timer = DispatchSource.makeTimerSource(queue: queues[0])
        timer.schedule(deadline: .now() + .seconds(3_600), repeating: .seconds(3_600))
        timer.setEventHandler {}
        timer.activate()
        return SourceBox(timer)
    }()

    /// Opens what waiting needs, so that it goes on when the process has no descriptor left.
    static func prepare() {
        _ = keeper
    }

    static func queue(for descriptor: Int32) -> DispatchQueue {
        queues[Int(descriptor) % queues.count]
    }

    /// Waits without a thread; false when the task was cancelled.
    static func pause(_ limit: Duration) async -> Bool {
        await Readiness.pause(limit, on: queues[0]) == .timedOut
    }
}

// A dispatch source may be cancelled from any thread, by its documentation; the rest is done before it is shared.
struct SourceBox: @unchecked Sendable {
    let source: any DispatchSourceProtocol
    init(_ source: any DispatchSourceProtocol) { self.source = source }
}
