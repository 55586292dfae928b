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

    /// 1 for the state of the job's newest run that may write, 0 for every other state.
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

    static func scheduleInterval(_ job: JobName, _ seconds: TimeInterval) {
        Gauge(label: "etl_schedule_interval_seconds", dimensions: [("source", job.rawValue)]).record(seconds)
    }

    static func openLetters(_ job: JobName, _ count: Int) {
        Gauge(label: "etl_dead_letters_open", dimensions: [("source", job.rawValue)]).record(count)
    }

    /// Nil: never yet.
    static func historyRead(at date: Date?) {
        Gauge(label: "etl_history_read_timestamp_seconds").record(date?.timeIntervalSince1970 ?? 0)
    }

    static func shards(_ job: JobName, _ states: [ShardRecord.State: Int]) {
        for state in ShardRecord.State.allCases {
            Gauge(label: "etl_shards", dimensions: [("source", job.rawValue), ("state", state.rawValue)])
                .record(states[state] ?? 0)
        }
    }
}

enum SchedulerMetric {
    static func leads(_ leads: Bool) {
        Gauge(label: "etl_scheduler_leader").record(leads ? 1 : 0)
    }
}
