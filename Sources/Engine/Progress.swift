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

    package var json: JSONValue {
        [
            "stage": .string(stage), "read": .int(read), "compared": .int(compared), "written": .int(written),
            "total": total.map { .int($0) } ?? .null, "rowsPerSecond": .double(rowsPerSecond.rounded()),
            "etaSeconds": etaSeconds.map { .double($0.rounded()) } ?? .null,
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
    }
    private let state = Mutex(State())
    private let started = ContinuousClock.now

    package init() {}

    package func stage(_ name: String) { state.withLock { $0.stage = name } }

    package func add(read: Int = 0, compared: Int = 0, written: Int = 0) {
        state.withLock { state in
            state.read += read
            state.compared += compared
            state.written += written
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
            etaSeconds: rate > 0 ? left.map { Double($0) / rate } : nil
        )
    }
}
