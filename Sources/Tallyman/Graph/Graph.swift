import API
import Engine
import Foundation
import Logging
import Postgres
import Runtime
import ServiceLifecycle
import Telemetry

/// The daemon's objects, made once from the settings; commands take what they need of it.
final class Graph: Sendable {
    let settings: Settings
    let logger: Logger
    let databases: DatabasePools
    let state: PGPool
    let features: [Feature]
    let jobs: [any Job]
    let runner: JobRunner
    let ledger: Ledger
    let scheduler: Scheduler
    let migrations: DatabaseMigrations
    let deadLetters: DeadLetterStore
    let watermarks: WatermarkStore
    let events = EventHub()
    let startedAt = Date()

    /// `adding`: jobs of one command only.
    init(_ settings: Settings, adding: (DatabasePools) throws -> [any Job] = { _ in [] }) throws {
        self.settings = settings
        logger = Logger(label: "tallyman")
        let databases = DatabasePools()
        self.databases = databases
        let shared = SharedObjects(databases: databases, schedule: settings.schedule)
        let features = try settings.features.map { try $0.build(shared) }
        self.features = features
        let state = databases.pool(settings.state, maxConnections: 6)
        self.state = state
        let health = HealthCheckJob(probes: features.flatMap(\.probes))
        let jobs: [any Job] = features.flatMap(\.jobs) + [health] + (try adding(databases))
        self.jobs = jobs
        runner = JobRunner(
            state: state,
            jobs: jobs,
            holder: ProcessSetup.holder,
            failpoint: ProcessSetup.failpoint,
            logger: Logger(label: "engine")
        )
        ledger = Ledger(state: state)
        let own = ScheduleDefinition(
            job: health.name,
            expression: settings.schedule.healthCheck,
            timeZone: settings.schedule.zone
        )
        scheduler = Scheduler(
            state: state,
            runner: runner,
            schedules: features.flatMap(\.schedules) + [own],
            enabledAtStart: settings.schedule.isEnabled,
            holder: ProcessSetup.holder,
            logger: Logger(label: "scheduler")
        )
        let written = features.flatMap(\.databases)
        migrations = try DatabaseMigrations(written, state: state)
        deadLetters = DeadLetterStore(written.map { ($0.role, $0.pool) })
        watermarks = WatermarkStore(written.map { ($0.role, $0.pool) })
    }

    var runnerService: any Service { UntilShutdown { [runner] in try await runner.run() } }
    var schedulerService: any Service { UntilShutdown { [scheduler] in try await scheduler.run() } }

    var eventService: any Service { UntilShutdown { [events, runsPort] in try await events.run(runsPort) } }

    private var runsPort: EngineRuns {
        EngineRuns(jobs: jobs, runner: runner, ledger: ledger, keys: IdempotencyKeys(state: state))
    }

    /// What the HTTP routes and the status command reach.
    func ports(draining: DrainMark? = nil) -> APIPorts {
        let scrape = scrape
        return APIPorts(
            runs: runsPort,
            scheduler: EngineScheduler(scheduler: scheduler),
            deadLetters: EngineDeadLetters(store: deadLetters),
            watermarks: EngineWatermarks(store: watermarks),
            events: events,
            probes: probes,
            stats: features.lazy.compactMap(\.stats).first,
            info: ServiceInfo(version: ProcessSetup.version, startedAt: startedAt, memory: { MachineMemory.use() }),
            metricsText: { scrape.page() },
            isDraining: { draining?.isSet ?? false },
            shopifyHook: features.lazy.compactMap(\.shopifyHook).first
        )
    }

    var scrape: ScrapeMetrics {
        var pools = features.flatMap(\.databases).map { ($0.role, $0.pool) }
        if !pools.contains(where: { $0.1 === state }) { pools.append(("state", state)) }
        return ScrapeMetrics(postgres: pools, mongo: features.flatMap(\.mongoPools), startedAt: startedAt)
    }

    private var probes: [NamedProbe] {
        let (migrations, databases) = (migrations, databases)
        return features.flatMap(\.probes)
            + [NamedProbe("migrations", isConnection: false) { await migrations.probe(over: databases) }]
    }

    /// Closes every session; safe to call once at the end of a command.
    func close() async {
        for feature in features { await feature.close() }
        await databases.close()
    }
}
