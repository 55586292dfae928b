import Foundation
package import Logging
import Runtime
import Telemetry

/// Gauges that must be right on every replica and after a restart, though another process made the history.
package struct HistoryGauges: Sendable {
    private let ledger: Ledger
    private let jobs: [any Job]
    private let letters: DeadLetterStore
    private let schedules: @Sendable () -> [ScheduleDefinition]
    private let logger: Logger

    package init(
        ledger: Ledger,
        jobs: [any Job],
        letters: DeadLetterStore,
        schedules: @escaping @Sendable () -> [ScheduleDefinition],
        logger: Logger
    ) {
        self.ledger = ledger
        self.jobs = jobs
        self.letters = letters
        self.schedules = schedules
        self.logger = logger
    }

    private static let runsLookedAt = 20

    /// Looks once a minute until cancelled.
    ///
    /// What cannot be read keeps its gauges as they are and holds up no other; it is logged, and
    /// `etl_history_read_timestamp_seconds` stands still, at 0 when nothing was read since the start.
    package func run() async throws {
        EngineMetric.historyRead(at: nil)
        var lettered = Set(jobs.map(\.name))
        while true {
            try await refresh(&lettered)
            try await Task.sleep(for: .seconds(60))
        }
    }

    /// - Parameter lettered: jobs that dead letters were told of, and may have none by now.
    private func refresh(_ lettered: inout Set<JobName>) async throws {
        let began = Date()
        for schedule in schedules() {
            if let seconds = schedule.interval(around: began) { EngineMetric.scheduleInterval(schedule.job, seconds) }
        }
        var faults: [String] = []
        do {
            let open = try await letters.openCounts()
            lettered.formUnion(open.keys)
            for job in lettered { EngineMetric.openLetters(job, open[job] ?? 0) }
        } catch {
            faults.append(try fault(error, of: "dead letters"))
        }
        for job in jobs {
            do { try await tell(of: job) } catch { faults.append(try fault(error, of: job.name.rawValue)) }
        }
        guard faults.isEmpty else {
            logger.event(
                .warning,
                "gauges of the past could not be read",
                [.count: "\(faults.count)", .error: faults.joined(separator: "; ")]
            )
            return
        }
        EngineMetric.historyRead(at: began)
    }

    private func fault(_ error: any Error, of what: String) throws -> String {
        if Task.isCancelled { throw CancellationError() }
        return "\(what): \(TallyError.wrapping(error, during: "gauges.read"))"
    }

    private func tell(of job: any Job) async throws {
        if let states = try await ShardStore(state: ledger.state).statesOfNewest(job.name) {
            EngineMetric.shards(job.name, states)
        }
        if let end = try await ledger.lastSuccess(job: job.name)?.finishedAt {
            EngineMetric.lastSuccess(job.name, at: end)
        }
        let runs = try await ledger.runs(job: job.name, limit: Self.runsLookedAt)
        if let newest = runs.first(where: { $0.state != .skipped && !$0.dryRun }) {
            EngineMetric.newestRun(job.name, newest.state)
        }
        try await job.publish(runs.first { [.succeeded, .partial].contains($0.state) })
    }
}
