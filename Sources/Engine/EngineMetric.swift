import Foundation
import Metrics

/// Every metric of the engine: name, unit and labels in one place; `docs/metrics.md` lists them.
enum EngineMetric {
    static func finished(
        _ job: JobName,
        _ outcome: RunExecution.Outcome,
        dryRun: Bool,
        duration: Duration,
        retries: Int
    ) {
        Metrics.Timer(
            label: "etl_run_duration_seconds",
            dimensions: [("source", job.rawValue), ("pipeline", job.rawValue)]
        )
        .recordNanoseconds(nanoseconds(duration))
        Counter(label: "etl_runs_total", dimensions: [("source", job.rawValue), ("state", outcome.state.rawValue)])
            .increment()
        if let rows = outcome.counts["syncedProducts"], rows > 0 {
            Counter(label: "etl_rows_processed_total", dimensions: [("source", job.rawValue), ("table", "product")])
                .increment(by: Int64(rows))
        }
        if retries > 0 {
            Counter(label: "etl_retries_total", dimensions: [("source", job.rawValue)]).increment(by: Int64(retries))
        }
        if outcome.state == .failed {
            let stage = outcome.error?.stage.split(separator: ".").first.map(String.init) ?? "run"
            Counter(label: "etl_errors_total", dimensions: [("source", job.rawValue), ("stage", stage)]).increment()
        }
        if outcome.state == .succeeded, outcome.isWhole, !dryRun { lastSuccess(job, at: Date()) }
    }

    /// A writing transaction whose COMMIT the server has confirmed.
    static func committed(_ job: JobName, after duration: Duration) {
        Metrics.Timer(label: "etl_batch_duration_seconds", dimensions: [("source", job.rawValue)])
            .recordNanoseconds(nanoseconds(duration))
    }

    private static func nanoseconds(_ duration: Duration) -> Int64 {
        let parts = duration.components
        return parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000
    }

    /// 1 for the state of the job's newest run, 0 for every other state.
    static func newestRun(_ job: JobName, _ newest: RunState) {
        for state in RunState.allCases {
            Gauge(label: "etl_run_state", dimensions: [("source", job.rawValue), ("state", state.rawValue)])
                .record(state == newest ? 1 : 0)
        }
    }

    static func lastSuccess(_ job: JobName, at date: Date) {
        Gauge(label: "etl_last_success_timestamp_seconds", dimensions: [("source", job.rawValue)])
            .record(date.timeIntervalSince1970)
    }

    static func shards(_ job: JobName, _ states: [ShardRecord.State: Int]) {
        for state in ShardRecord.State.allCases {
            Gauge(label: "etl_shards", dimensions: [("source", job.rawValue), ("state", state.rawValue)])
                .record(states[state] ?? 0)
        }
    }
}

/// Gauges that must be right on every replica and after a restart, though another process made the history.
package struct HistoryGauges: Sendable {
    private let ledger: Ledger
    private let jobs: [any Job]

    package init(ledger: Ledger, jobs: [any Job]) {
        self.ledger = ledger
        self.jobs = jobs
    }

    private static let runsLookedAt = 20

    /// Reads the ledger once a minute until cancelled; while it cannot be read, the gauges stay as they are.
    package func run() async throws {
        while true {
            try await refresh()
            try await Task.sleep(for: .seconds(60))
        }
    }

    private func refresh() async throws {
        for job in jobs {
            do {
                if let states = try await ShardStore(state: ledger.state).statesOfNewest(job.name) {
                    EngineMetric.shards(job.name, states)
                }
                if let end = try await ledger.lastSuccess(job: job.name)?.finishedAt {
                    EngineMetric.lastSuccess(job.name, at: end)
                }
                let runs = try await ledger.runs(job: job.name, limit: Self.runsLookedAt)
                if let newest = runs.first(where: { $0.state != .skipped }) {
                    EngineMetric.newestRun(job.name, newest.state)
                }
                if let told = runs.first(where: { [.succeeded, .partial].contains($0.state) }) { job.publish(told) }
            } catch {
                // Readiness and its metric tell about a state database that is away.
                if Task.isCancelled { throw CancellationError() }
                return
            }
        }
    }
}

enum SchedulerMetric {
    static func leads(_ leads: Bool) {
        Gauge(label: "etl_scheduler_leader").record(leads ? 1 : 0)
    }
}
