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
    /// How often something was tried again.
    package let retries: Int
    /// The stages so far, the present one last; the newest 32.
    package let stages: [StageMark]

    /// When a stage began, and what had been read by then.
    package struct StageMark: Sendable, Equatable {
        package let name: String
        /// Seconds since the run began.
        package let atSeconds: Double
        package let read: Int

        package var json: JSONValue {
            [
                "name": .string(name), "atSeconds": .double((atSeconds * 1000).rounded() / 1000), "read": .int(read),
            ]
        }
    }

    package var json: JSONValue {
        [
            "stage": .string(stage), "read": .int(read), "compared": .int(compared), "written": .int(written),
            "total": total.map { .int($0) } ?? .null, "rowsPerSecond": .double(rowsPerSecond.rounded()),
            "etaSeconds": etaSeconds.map { .double($0.rounded()) } ?? .null, "waiting": .bool(isWaiting),
            "retries": .int(retries), "stages": .array(stages.map(\.json)),
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
        var retries = 0
        var stages: [ProgressSnapshot.StageMark] = []
        /// Rises with everything that happens.
        var steps = 0
    }
    private let state = Mutex(State())
    private static let stagesMax = 32
    private let started = ContinuousClock.now

    private let whole: Progress?

    /// `whole`: the progress of a run that this is a part of; what is read, compared and written counts there too.
    package init(reportingTo whole: Progress? = nil) { self.whole = whole }

    package func stage(_ name: String) {
        let at = secondsSinceStart
        state.withLock { state in
            state.stage = name
            state.steps += 1
            state.stages.append(.init(name: name, atSeconds: at, read: state.read))
            if state.stages.count > Self.stagesMax { state.stages.removeFirst() }
        }
    }

    /// Counts that something is tried again.
    package func noteRetry() {
        state.withLock { $0.retries += 1 }
        whole?.noteRetry()
    }

    private var secondsSinceStart: Double {
        let elapsed = started.duration(to: .now)
        return Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
    }

    /// Says that the run waits on purpose, or no longer does; such a wait is no stall.
    package func note(waiting: Bool) {
        state.withLock { state in
            state.waits += waiting ? 1 : -1
            state.steps += 1
        }
        whole?.note(waiting: waiting)
    }

    /// Says that something went on that no count shows.
    package func touch() {
        state.withLock { $0.steps += 1 }
        whole?.touch()
    }

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
        whole?.add(read: read, compared: compared, written: written)
    }

    package var total: Int? {
        get { state.withLock { $0.total } }
        set { state.withLock { $0.total = newValue } }
    }

    package var snapshot: ProgressSnapshot {
        let now = state.withLock { $0 }
        let seconds = max(0.001, secondsSinceStart)
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
            isWaiting: now.waits > 0,
            retries: now.retries,
            stages: now.stages
        )
    }
}
