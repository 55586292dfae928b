import API
import Alerts
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
    let book: ScheduleBook
    let migrations: DatabaseMigrations
    let deadLetters: DeadLetterStore
    let watermarks: WatermarkStore
    let notifier: Notifier
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
        let written = features.flatMap(\.databases)
        let deadLetters = DeadLetterStore(written.map { ($0.role, $0.pool) })
        self.deadLetters = deadLetters
        let notifier = Notifier.of(settings.alerts, features: features, state: state, deadLetters: deadLetters)
        self.notifier = notifier
        var jobs: [any Job] = features.flatMap(\.jobs) + [health] + (try adding(databases))
        if notifier.isOn {
            jobs.append(
                DigestJob(state: state, notifier: notifier, jobs: jobs.map(\.name)) {
                    try await deadLetters.openCounts()
                }
            )
        }
        self.jobs = jobs
        runner = JobRunner(
            state: state,
            jobs: jobs,
            holder: ProcessSetup.holder,
            settings: settings.runs,
            failpoint: ProcessSetup.failpoint,
            logger: Logger(label: "engine"),
            ended: { notifier.offer($0) }
        )
        ledger = Ledger(state: state)
        let zone = settings.schedule.zone
        var own = [ScheduleDefinition(job: health.name, expression: settings.schedule.healthCheck, timeZone: zone)]
        if notifier.isOn, let digest = settings.alerts.digest {
            own.append(ScheduleDefinition(job: "digest", expression: digest, timeZone: zone))
        }
        let book = ScheduleBook(
            standard: features.flatMap(\.schedules) + own,
            pinned: Self.pinned(features, health: health.name, settings.schedule),
            zone: zone,
            zoneIsPinned: settings.schedule.given.contains(.timeZone),
            jobs: Dictionary(jobs.map { ($0.name, $0.knownOptions) }, uniquingKeysWith: { first, _ in first }),
            folder: settings.configFolder,
            zoned: features.reduce(into: []) { $0.formUnion($1.zonedJobs) }
        )
        self.book = book
        let housekeeping = Housekeeping(
            state: state,
            targets: jobs.flatMap(\.targets),
            policy: settings.retention
        )
        scheduler = Scheduler(
            state: state,
            runner: runner,
            schedules: try book.schedules(),
            enabledAtStart: settings.schedule.isEnabled,
            holder: ProcessSetup.holder,
            logger: Logger(label: "scheduler"),
            chores: { _ = try await housekeeping.sweep() }
        )
        migrations = try DatabaseMigrations(written, state: state, folder: settings.migrationsFolder)
        watermarks = WatermarkStore(written.map { ($0.role, $0.pool) })
    }

    /// Jobs whose expression came from an environment variable.
    private static func pinned(_ features: [Feature], health: JobName, _ schedule: Settings.Schedule) -> Set<JobName> {
        var variables: [JobName: SettingName] = [
            health: .healthCheckCronSchedule, "digest": .alertDigestCronSchedule,
        ]
        for feature in features { variables.merge(feature.cronVariables) { first, _ in first } }
        return Set(variables.filter { schedule.given.contains($0.value) }.keys)
    }

    /// Reads `jobs.yaml` again and takes its schedules from the next second on, all or nothing; what changed.
    ///
    /// - Throws: `.settingsInvalid` with file and line; then everything stays as it was.
    func reload() throws -> [String] {
        let new = try book.schedules()
        let changes = ScheduleBook.changes(from: scheduler.schedules, to: new)
        scheduler.replace(new)
        logger.event(.notice, "schedules read again", [.count: "\(changes.count)"])
        return changes
    }

    var runnerService: any Service { UntilShutdown { [runner] in try await runner.run() } }
    var notifierService: any Service { UntilShutdown { [notifier] in try await notifier.run() } }
    var gaugeService: any Service {
        let gauges = HistoryGauges(
            ledger: ledger,
            jobs: jobs,
            letters: deadLetters,
            schedules: { [scheduler] in scheduler.schedules },
            logger: Logger(label: "gauges")
        )
        return UntilShutdown { try await gauges.run() }
    }
    var dependencyService: any Service {
        UntilShutdown { [probes] in try await DependencyGauges(probes: probes).run() }
    }
    var schedulerService: any Service { UntilShutdown { [scheduler] in try await scheduler.run() } }

    var eventService: any Service { UntilShutdown { [events, runsPort] in try await events.run(runsPort) } }

    /// Looks once at what features want looked at when the daemon starts.
    var startChecks: any Service { StartChecks(features: features, logger: logger) }

    private var runsPort: EngineRuns {
        EngineRuns(
            jobs: jobs,
            runner: runner,
            ledger: ledger,
            shards: ShardStore(state: state),
            keys: IdempotencyKeys(state: state)
        )
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
            reload: { [self] in try reload() },
            shopifyHook: features.lazy.compactMap(\.shopifyHook).first,
            differences: features.compactMap(\.difference)
        )
    }

    var scrape: ScrapeMetrics {
        var pools = features.flatMap(\.databases).map { ($0.role, $0.pool) }
        if !pools.contains(where: { $0.1 === state }) { pools.append(("state", state)) }
        return ScrapeMetrics(postgres: pools, mongo: features.flatMap(\.mongoPools), startedAt: startedAt)
    }

    private var probes: [NamedProbe] {
        let (migrations, databases, state) = (migrations, databases, state)
        return features.flatMap(\.probes) + [
            NamedProbe("migrations", isConnection: false) { await migrations.probe(over: databases) },
            NamedProbe("leases", isConnection: false) {
                await DependencyProbe.leases(databases.probePool(state.settings))
            },
        ]
    }

    /// Closes every session; safe to call once at the end of a command.
    func close() async {
        for feature in features { await feature.close() }
        await databases.close()
    }
}
