import API
import Engine
import Metrics
import Postgres
import Runtime

/// Asks everything the features depend on, so that an outage shows in the metrics and the ledger before a run needs
/// it.
struct HealthCheckJob: Job {
    let name: JobName = "health_check"
    let knownOptions: Set<RunOptionName> = [.dryRun]
    var targets: [PGPool] { [] }
    let probes: [NamedProbe]

    func run(_ context: RunContext) async throws -> RunSummary {
        context.progress.stage("probe")
        var failures: [String] = []
        for probe in probes {
            let result = await probe.ask()
            Gauge(label: "etl_dependency_up", dimensions: [("dependency", probe.name)]).record(result.isOK ? 1 : 0)
            if case .failed(let reason) = result { failures.append("\(probe.name): \(reason)") }
        }
        guard failures.isEmpty else {
            throw TallyError(.sourceUnreachable, during: "health.probe", failures.joined(separator: "; "))
        }
        return RunSummary(
            counts: ["probed": probes.count, "answered": probes.count],
            details: .object([:]),
            deadLetters: 0,
            proof: .compareOnly
        )
    }
}
