package import Engine
import Foundation
package import Logging
import Metrics
import Runtime
import Telemetry

/// Tells people what became of runs. Nothing it does can delay or fail a run: `offer` only puts into a queue.
///
/// Alerts are told once per job, subject and state, across replicas and restarts; a process that is killed between the
/// telling and the note of it has the alert told twice, never not at all. Delivery is tried three times; an alert that
/// nobody took, or that a shutdown cut off, is told with the job's next run.
package final class Notifier: Sendable {
    private static let queueMax = 256
    private static let attemptsMax = 3
    private static let noteLimit = Duration.seconds(5)
    private static let askLimit = Duration.seconds(10)

    private let policy: AlertPolicy
    private let store: NoticeStore
    private let sinks: [any AlertSink]
    private let openLetters: @Sendable () async throws -> [JobName: Int]
    /// Seconds one attempt may take.
    private let attemptLimit: Duration
    private let pause: Duration
    private let logger: Logger
    private let queue = BoundedChannel<RunEnding>(capacity: queueMax)

    /// `openLetters` counts open dead letters by job.
    package init(
        policy: AlertPolicy,
        store: NoticeStore,
        sinks: [any AlertSink],
        openLetters: @escaping @Sendable () async throws -> [JobName: Int],
        attemptLimit: Duration = .seconds(10),
        pause: Duration = .seconds(2),
        logger: Logger
    ) {
        self.policy = policy
        self.store = store
        self.sinks = sinks
        self.openLetters = openLetters
        self.attemptLimit = attemptLimit
        self.pause = pause
        self.logger = logger
    }

    /// Whether anybody would be told.
    package var isOn: Bool { !sinks.isEmpty }

    /// Queues a run's end. Returns at once; when 256 wait already, the newest is dropped and counted.
    package func offer(_ ending: RunEnding) {
        guard isOn else { return }
        if !queue.offer(ending) { AlertMetric.sent("queue", "dropped") }
    }

    /// Tells what is queued, in order, until cancelled.
    package func run() async throws {
        while let ending = try await queue.receive() {
            if let report = policy.report(of: ending) { _ = try await tell(report) }
            for seen in policy.observations(of: ending) { try await handle(seen, of: ending) }
        }
    }

    /// Tells first and notes then: an alert that a shutdown or a kill cut off is told with the job's next run.
    private func handle(_ seen: Observation, of ending: RunEnding) async throws {
        let change: NoticeStore.Change
        do {
            guard let found = try await store.change(ending.job, seen.subject, to: seen.state) else { return }
            change = found
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            // The state database is away. A problem is told rather than kept back, a recovery can wait.
            note(error, ending.job)
            let news = policy.alert(seen, previous: nil, of: ending, repeated: false)
            if let news { _ = try await tell(news) }
            return
        }
        if seen.subject == .deadLetters, seen.isGood, try await !isEmptied(ending.job) { return }
        let news = policy.alert(seen, previous: change.previous, of: ending, repeated: change.isRepeat)
        if let news, try await tell(news) == false { return }
        // Also while the daemon stops: what was told is not told again.
        await Uncancelled.run {
            do {
                try await withDeadline(Self.noteLimit, during: "alerts.note") {
                    try await self.store.note(ending.job, seen.subject, seen.state)
                }
            } catch {
                self.note(error, ending.job)
            }
        }
    }

    /// A run that left no letter may not have read the records that wait: only a count says that none waits any more.
    private func isEmptied(_ job: JobName) async throws -> Bool {
        do {
            let open = try await withDeadline(Self.askLimit, during: "alerts.letters") { try await self.openLetters() }
            return open[job, default: 0] == 0
        } catch {
            if Task.isCancelled { throw CancellationError() }
            logger.event(
                .warning,
                "open dead letters cannot be counted",
                [.job: job.rawValue, .error: "\(TallyError.wrapping(error, during: "alerts.letters"))"]
            )
            return false
        }
    }

    private func note(_ error: any Error, _ job: JobName) {
        logger.event(
            .warning,
            "notices cannot be kept",
            [.job: job.rawValue, .error: "\(TallyError.wrapping(error, during: "alerts"))"]
        )
    }

    /// Delivers to every sink; whether at least one took it. Throws only when cancelled.
    package func tell(_ alert: Alert) async throws -> Bool {
        var taken = 0
        for sink in sinks where try await deliver(alert, to: sink) { taken += 1 }
        return taken > 0
    }

    private func deliver(_ alert: Alert, to sink: any AlertSink) async throws -> Bool {
        for attempt in 1...Self.attemptsMax {
            var wait = pause * attempt
            do {
                try await withDeadline(attemptLimit, during: "alerts.deliver") { try await sink.deliver(alert) }
                AlertMetric.sent(sink.name, "delivered")
                return true
            } catch {
                if Task.isCancelled { throw CancellationError() }
                let ours = TallyError.wrapping(error, during: "alerts.deliver")
                logger.event(
                    .warning,
                    "an alert was not delivered",
                    [.kind: sink.name, .job: alert.job.rawValue, .attempt: "\(attempt)", .error: "\(ours)"]
                )
                if ours.kind.disposition != .retry { break }
                if let asked = ours.retryAfter { wait = min(asked, .seconds(60)) }
            }
            if attempt < Self.attemptsMax { try await Task.sleep(for: wait) }
        }
        AlertMetric.sent(sink.name, "failed")
        return false
    }
}

enum AlertMetric {
    static func sent(_ sink: String, _ result: String) {
        Counter(label: "etl_alerts_total", dimensions: [("sink", sink), ("result", result)]).increment()
    }
}
