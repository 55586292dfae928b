import API
import Engine
import Postgres
import Runtime

/// Asks everything the features depend on, so that an outage shows in the ledger before a run needs it.
struct HealthCheckJob: Job {
    let name: JobName = "health_check"
    let knownOptions: Set<RunOptionName> = [.dryRun]
    var targets: [PGPool] { [] }
    let probes: [NamedProbe]

    func run(_ context: RunContext) async throws -> RunSummary {
        context.progress.stage("probe")
        let failures = await probes.answers().compactMap { name, result in
            if case .failed(let reason) = result { "\(name): \(reason)" } else { nil }
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
