import API
import Engine
import Metrics
import Mongo
import Postgres
import Runtime

/// Probes both databases on its schedule, so that an outage shows in the metrics and the ledger before a sync needs
/// them.
struct HealthCheckJob: Job {
    let name: JobName = "health_check"
    let knownOptions: Set<RunOptionName> = [.dryRun]
    var targets: [PGPool] { [] }
    let mongo: MongoPool
    let cart: PGPool

    func run(_ context: RunContext) async throws -> RunSummary {
        context.progress.stage("probe")
        async let source = DependencyProbe.mongo(mongo)
        async let target = DependencyProbe.postgres(cart)
        let results = [("productMongodb", await source), ("postgresql", await target)]
        for (name, result) in results {
            Gauge(label: "etl_dependency_up", dimensions: [("dependency", name)]).record(result.isOK ? 1 : 0)
        }
        for (name, result) in results {
            if case .failed(let reason) = result {
                throw TallyError(
                    name == "postgresql" ? .targetUnreachable : .sourceUnreachable,
                    during: "health.probe",
                    "\(name): \(reason)"
                )
            }
        }
        return RunSummary(
            counts: ["probed": results.count, "answered": results.count],
            details: .object([:]),
            deadLetters: 0,
            proof: .compareOnly
        )
    }
}
