package import Runtime
import Synchronization

/// How far a run is.
package struct ProgressSnapshot: Sendable, Equatable {
    package let stage: String
    package let read: Int
    package let compared: Int
    package let written: Int
    /// An estimate for people; nil when unknown.
    package let total: Int?
    package let rowsPerSecond: Double
    package let etaSeconds: Double?
    /// It waits on purpose: for a rate limit, or before it tries again.
    package let isWaiting: Bool

    package var json: JSONValue {
        [
            "stage": .string(stage), "read": .int(read), "compared": .int(compared), "written": .int(written),
            "total": total.map { .int($0) } ?? .null, "rowsPerSecond": .double(rowsPerSecond.rounded()),
            "etaSeconds": etaSeconds.map { .double($0.rounded()) } ?? .null, "waiting": .bool(isWaiting),
        ]
    }
}

/// Counters that a job advances while it works; reading them costs one lock.
package final class Progress: Sendable {
    private struct State {
        var stage = "queued"
        var read = 0
        var compared = 0
        var written = 0
        var total: Int?
        var waits = 0
        /// Rises with everything that happens.
        var steps = 0
    }
    private let state = Mutex(State())
    private let started = ContinuousClock.now

    package init() {}

    package func stage(_ name: String) {
        state.withLock { state in
            state.stage = name
            state.steps += 1
        }
    }

    /// Says that the run waits on purpose, or no longer does; such a wait is no stall.
    package func note(waiting: Bool) {
        state.withLock { state in
            state.waits += waiting ? 1 : -1
            state.steps += 1
        }
    }

    /// Says that something went on that no count shows.
    package func touch() { state.withLock { $0.steps += 1 } }

    /// What the watchdog compares: the stage, a number that rises with all that happens, and whether it waits.
    var mark: (stage: String, steps: Int, isWaiting: Bool) {
        state.withLock { ($0.stage, $0.steps, $0.waits > 0) }
    }

    package func add(read: Int = 0, compared: Int = 0, written: Int = 0) {
        state.withLock { state in
            state.read += read
            state.compared += compared
            state.written += written
            state.steps += 1
        }
    }

    package var total: Int? {
        get { state.withLock { $0.total } }
        set { state.withLock { $0.total = newValue } }
    }

    package var snapshot: ProgressSnapshot {
        let now = state.withLock { $0 }
        let elapsed = started.duration(to: .now)
        let seconds = max(0.001, Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18)
        let rate = Double(now.read) / seconds
        let left = now.total.map { max(0, $0 - now.read) }
        return ProgressSnapshot(
            stage: now.stage,
            read: now.read,
            compared: now.compared,
            written: now.written,
            total: now.total,
            rowsPerSecond: rate,
            etaSeconds: rate > 0 ? left.map { Double($0) / rate } : nil,
            isWaiting: now.waits > 0
        )
    }
}
