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
        let parts = duration.components
        let nanoseconds = parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000
        Metrics.Timer(
            label: "etl_run_duration_seconds",
            dimensions: [("source", job.rawValue), ("pipeline", job.rawValue)]
        )
        .recordNanoseconds(nanoseconds)
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
        if outcome.state == .succeeded, !dryRun { lastSuccess(job, at: Date()) }
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
    private let jobs: [JobName]

    package init(ledger: Ledger, jobs: [JobName]) {
        self.ledger = ledger
        self.jobs = jobs
    }

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
                if let states = try await ShardStore(state: ledger.state).statesOfNewest(job) {
                    EngineMetric.shards(job, states)
                }
                if let end = try await ledger.lastSuccess(job: job)?.finishedAt {
                    EngineMetric.lastSuccess(job, at: end)
                }
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
